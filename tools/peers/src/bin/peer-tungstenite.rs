//! Echo and broadcast on tokio-tungstenite.

use clawdia_peers::{Mode, run};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

fn main() -> std::io::Result<()> {
    run(serve)
}

async fn serve(stream: TcpStream, mode: Mode) -> Result<(), Error> {
    let mut socket = accept_async(stream).await?;
    match mode {
        Mode::Echo => {
            while let Some(message) = socket.next().await {
                let message = message?;
                if message.is_text() || message.is_binary() {
                    socket.send(message).await?;
                }
            }
        }
        Mode::Broadcast(hub) => {
            let mut receiver = hub.join();
            let (mut sink, mut source) = socket.split();
            tokio::task::spawn_local(async move {
                while let Some(shared) = receiver.recv().await {
                    let text = Utf8Bytes::from(String::from_utf8_lossy(&shared).into_owned());
                    if sink.send(Message::Text(text)).await.is_err() {
                        break;
                    }
                }
            });
            while let Some(message) = source.next().await {
                if let Message::Text(text) = message? {
                    hub.send(text.as_bytes());
                }
            }
        }
    }
    Ok(())
}
