//! Echo and broadcast on fastwebsockets.

use clawdia_peers::{Hub, Mode, run};
use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use fastwebsockets::{
    FragmentCollector, FragmentCollectorRead, Frame, OpCode, Payload, WebSocketError,
};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

fn main() -> std::io::Result<()> {
    run(serve)
}

async fn serve(stream: TcpStream, mode: Mode) {
    let service = service_fn(move |request| answer(request, mode.clone()));
    // Whatever goes wrong, the peer is gone; that is all there is to it.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

async fn answer(
    mut request: Request<Incoming>,
    mode: Mode,
) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let (response, upgraded) = upgrade(&mut request)?;
    tokio::task::spawn_local(async move {
        match mode {
            Mode::Echo => echo(upgraded).await,
            Mode::Broadcast(hub) => broadcast(upgraded, hub).await,
        }
    });
    Ok(response)
}

async fn echo(upgraded: UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = FragmentCollector::new(upgraded.await?);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}

async fn broadcast(upgraded: UpgradeFut, hub: Hub) -> Result<(), WebSocketError> {
    let (source, mut sink) = upgraded.await?.split(tokio::io::split);
    let mut receiver = hub.join();
    tokio::task::spawn_local(async move {
        while let Some(shared) = receiver.recv().await {
            let frame = Frame::text(Payload::Borrowed(&shared));
            if sink.write_frame(frame).await.is_err() {
                break;
            }
        }
    });
    let mut source = FragmentCollectorRead::new(source);
    loop {
        // Nobody who measures sends a ping, so nothing has to be sent in answer.
        let frame = source
            .read_frame::<_, WebSocketError>(&mut |_| async { Ok(()) })
            .await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text => hub.send(&frame.payload),
            _ => {}
        }
    }
}
