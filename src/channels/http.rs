//! Calls over HTTP that tell whether a byte of the request left.
//!
//! A message must not be sent twice, so a failed call has to say whether the service may have acted.
//! Each call that acts has a connection of its own: a kept one that its server has just closed
//! would leave that open. The connection notes the first byte that is handed to it, after the
//! TLS handshake.

use super::Fault;
use crate::agent::{CancelToken, tls_config};
use crate::limits::{CHANNEL_CONNECT_MS, CHANNEL_HEAD_BYTES_MAX};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use ureq::Agent;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, DefaultConnector, NextTimeout, Transport,
};

/// One call's connection.
pub struct Call {
    pub agent: Agent,
    /// Name and port of whoever is asked, for people.
    host: String,
    left: Arc<AtomicBool>,
    cancel: CancelToken,
}

impl Call {
    /// A call that takes at most `timeout_ms`, and that `cancel` cuts.
    pub fn new(url: &str, timeout_ms: u64, cancel: &CancelToken) -> Self {
        let ms = |ms: u64| Some(Duration::from_millis(ms));
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            // A token must not follow wherever a server points.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(CHANNEL_HEAD_BYTES_MAX)
            .max_idle_connections(0)
            .user_agent(concat!("clawdia/", env!("CARGO_PKG_VERSION")))
            .timeout_global(ms(timeout_ms))
            .timeout_resolve(ms(CHANNEL_CONNECT_MS))
            .timeout_connect(ms(CHANNEL_CONNECT_MS));
        if url.starts_with("https:") {
            config = config.tls_config(tls_config());
        }
        let left = Arc::new(AtomicBool::new(false));
        let noting = Noting { left: left.clone() };
        let connector = DefaultConnector::new().chain(noting);
        let agent = Agent::with_parts(config.build(), connector, DefaultResolver::default());
        let cut = agent.clone();
        cancel.on_cancel(move || cut.shutdown());
        Self {
            agent,
            host: host_of(url).to_owned(),
            left,
            cancel: cancel.clone(),
        }
    }

    /// What a failed call means: nothing was done unless a byte of the request left. `what` names the
    /// call; of the address only the host is told, since the rest may hold a token.
    pub fn fault(&self, what: &str, error: &ureq::Error) -> Fault {
        if self.cancel.is_cancelled() {
            return Fault::Closed;
        }
        let text = format!("{what}: {}", words(&self.host, error));
        match self.left.load(Ordering::SeqCst) {
            true => Fault::Unknown(text),
            false => Fault::Later(text),
        }
    }
}

/// Name and port of a URL, without what authenticates.
fn host_of(url: &str) -> &str {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    authority.rsplit('@').next().unwrap_or(authority)
}

/// What failed, for people.
fn words(host: &str, error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(ureq::Timeout::Resolve) => {
            format!("the name {host} was not resolved in time")
        }
        ureq::Error::Timeout(ureq::Timeout::Connect) => {
            format!("{host} was not reached in time")
        }
        ureq::Error::Timeout(_) => format!("no answer of {host} in time"),
        ureq::Error::HostNotFound => format!("the name {host} is not known"),
        // The standard library has no kind of its own for it.
        ureq::Error::Io(fault) if fault.to_string().contains("lookup address") => {
            format!("the name {host} could not be resolved; is the network there?")
        }
        ureq::Error::Io(fault) => format!("{host}: {}", fault.kind()),
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => {
            format!("the TLS handshake with {host} failed")
        }
        ureq::Error::ConnectionFailed => format!("{host} cannot be reached"),
        _ => format!("no HTTP answer of {host}"),
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.cancel.clear_hook();
    }
}

/// Wraps each connection so that its first byte is noted.
#[derive(Debug)]
struct Noting {
    left: Arc<AtomicBool>,
}

impl<In: Transport> Connector<In> for Noting {
    type Out = Noted<In>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let left = self.left.clone();
        Ok(chained.map(|inner| Noted { inner, left }))
    }
}

#[derive(Debug)]
struct Noted<T> {
    inner: T,
    left: Arc<AtomicBool>,
}

impl<T: Transport> Transport for Noted<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.left.store(true, Ordering::SeqCst);
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    fn post(port: u16, timeout_ms: u64, cancel: &CancelToken) -> Fault {
        let url = format!("http://127.0.0.1:{port}/bot1:secret/sendMessage");
        let call = Call::new(&url, timeout_ms, cancel);
        let error = call.agent.post(&url).send("{}").unwrap_err();
        let fault = call.fault("sendMessage", &error);
        assert!(!fault.to_string().contains("secret"), "{fault}");
        fault
    }

    #[test]
    fn what_failed_is_told_with_the_host_and_without_a_secret() {
        let url = "https://me:secret@api.example:8443/bot1:secret/getMe";
        assert_eq!(host_of(url), "api.example:8443");
        let lookup = "failed to lookup address information: Temporary failure in name resolution";
        let error = ureq::Error::Io(std::io::Error::other(lookup));
        assert_eq!(
            words("api.example", &error),
            "the name api.example could not be resolved; is the network there?"
        );
        let error = ureq::Error::Timeout(ureq::Timeout::Connect);
        assert_eq!(
            words("api.example", &error),
            "api.example was not reached in time"
        );
    }

    #[test]
    fn only_a_request_that_may_have_left_is_in_doubt() {
        let cancel = CancelToken::new();
        let gone = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = gone.local_addr().unwrap().port();
        drop(gone);
        let fault = post(port, 5_000, &cancel);
        let said = format!("sendMessage: 127.0.0.1:{port}: connection refused");
        assert_eq!(fault, Fault::Later(said));

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let cuts = std::thread::spawn(move || {
            for _ in 0..2 {
                let (mut socket, _) = listener.accept().unwrap();
                let _ = socket.read(&mut [0; 512]);
            }
            // The last one hangs.
            listener.accept().unwrap()
        });
        assert!(matches!(post(port, 5_000, &cancel), Fault::Unknown(_)));
        assert!(matches!(post(port, 5_000, &cancel), Fault::Unknown(_)));
        let fault = post(port, 50, &cancel);
        let said = format!("sendMessage: no answer of 127.0.0.1:{port} in time");
        assert_eq!(fault, Fault::Unknown(said));
        drop(cuts.join());
        cancel.cancel();
        assert_eq!(post(port, 5_000, &cancel), Fault::Closed);
    }
}
