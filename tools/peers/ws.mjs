// Echo and broadcast on npm ws: node ws.mjs PORT echo|broadcast
import { WebSocketServer } from 'ws';

const [port, mode] = process.argv.slice(2);
if (!/^\d+$/.test(port ?? '') || !['echo', 'broadcast'].includes(mode)) {
  console.error('usage: node ws.mjs PORT echo|broadcast');
  process.exit(64);
}
const server = new WebSocketServer({ host: '127.0.0.1', port: Number(port), perMessageDeflate: false });
server.on('listening', () => console.log(`READY ${server.address().port}`));
server.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => {
    const receivers = mode === 'echo' ? [socket] : server.clients;
    for (const receiver of receivers) receiver.send(data, { binary: isBinary });
  });
});
