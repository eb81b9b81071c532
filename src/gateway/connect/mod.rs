//! The handshake: challenge, `connect`, hello.
//!
//! Who gets in is decided in this order, each step a refusal of its own: the protocol version,
//! the role, the device's proof, the secret, the pairing.

mod check;
mod device;
mod join;
mod shape;

use crate::gateway::auth::pairing::{Ask, Decision, PAIRING_REQUIRED, decide};
use crate::gateway::auth::proof::Proof;
use crate::gateway::auth::scope::ScopeSet;
use crate::gateway::auth::tailnet::{Claim, Voucher};
use crate::gateway::hello::{PROTOCOL_MAX, PROTOCOL_MIN};
use crate::gateway::params::Params;
use crate::gateway::peer::Phase;
use crate::gateway::{Code, Fetch, FetchResult, Gateway, Refusal};
use crate::ids::ConnId;
use crate::limits::NODE_DECLARED_MAX;
use crate::log::{Level, LogLine};
use crate::now::Now;
use crate::state::{ClientFacts, Role, Text};
use crate::wire::envelope;
use crate::wire::json::{Json, Writer};
use shape::SHAPE;

/// Why a `connect` does not go on.
pub(in crate::gateway) enum Halt {
    /// It is refused, with this close code.
    Refused(Refusal, u16),
    /// Its device is being written for another connection: it is judged again afterwards.
    Busy,
    /// Somebody vouches for it, and has to be asked: it is judged again afterwards.
    Unconfirmed(Claim),
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal, 1008)
    }
}

/// The parts of `connect` that the checks read.
struct Connect<'t, 'i> {
    params: Params<'t, 'i>,
    client: Params<'t, 'i>,
    auth: Params<'t, 'i>,
    device: Option<Params<'t, 'i>>,
    protocol: u32,
    role: Role,
    scopes: ScopeSet,
    scope_names: Vec<&'i str>,
}

impl<'i> Connect<'_, 'i> {
    /// The token that the client shows, wherever its version puts it.
    fn token(&self) -> Option<&'i str> {
        self.auth
            .text("token")
            .or_else(|| self.auth.text("deviceToken"))
    }

    /// The one-time code that the client shows.
    fn code(&self) -> Option<&'i str> {
        self.auth
            .text("bootstrapToken")
            .filter(|code| !code.is_empty())
    }

    /// What the device's proof covers: a code only where no token is shown.
    fn signed_secret(&self) -> &'i str {
        let token = self.token().filter(|token| !token.is_empty());
        token.or_else(|| self.code()).unwrap_or("")
    }

    fn facts(&self, ip: std::net::IpAddr) -> ClientFacts {
        let text = |name: &str| self.client.text(name).map(Text::from);
        ClientFacts {
            display_name: text("displayName"),
            platform: text("platform"),
            device_family: text("deviceFamily"),
            model_identifier: text("modelIdentifier"),
            client_id: text("id"),
            client_mode: text("mode"),
            remote_ip: Some(ip.to_string().into()),
        }
    }
}

impl Gateway {
    /// The first message of a connection: `connect`, or the connection's end.
    pub(in crate::gateway) fn on_first_text(
        &mut self,
        now: Now,
        conn: ConnId,
        padded: &mut [u8],
        len: usize,
    ) {
        let mut parser = self.parser.take().unwrap_or_default();
        match parser.parse(padded, len) {
            Ok(document) => {
                match document.root() {
                    Some(root) => self.on_first_envelope(now, conn, root),
                    None => self.close(conn, 1008, "invalid request frame"),
                }
                parser.recycle(document);
            }
            Err(_) => self.close(conn, 1008, "invalid request frame"),
        }
        self.parser = Some(parser);
    }

    fn on_first_envelope(&mut self, now: Now, conn: ConnId, root: Json<'_, '_>) {
        let Ok(request) = envelope::request(root) else {
            return self.close(conn, 1008, "invalid request frame");
        };
        let went = if request.method == "connect" {
            self.on_connect(now, conn, request.id, request.unknown_key, request.params)
        } else {
            Err(Refusal::invalid("invalid handshake: first request must be connect").into())
        };
        match went {
            Ok(()) => {}
            Err(Halt::Refused(refusal, code)) => {
                self.refuse_connect(conn, request.id, &refusal, code);
            }
            Err(Halt::Busy) => self.connect_later(conn, root),
            Err(Halt::Unconfirmed(claim)) => self.confirm(conn, root, claim),
        }
    }

    /// Judges the same `connect` again when what is being written has been written.
    fn connect_later(&mut self, conn: ConnId, root: Json<'_, '_>) {
        let mut text = Vec::new();
        Writer::new(&mut text).json(root);
        self.start_joining(conn);
        self.commits.wait(Box::new(move |gateway, now| {
            gateway.connect_again(now, conn, text, None);
        }));
    }

    /// Asks the tailnet's daemon whether it knows the client as that person, and judges the same
    /// `connect` again when it has answered, or has not in time.
    fn confirm(&mut self, conn: ConnId, root: Json<'_, '_>, claim: Claim) {
        let mut text = Vec::new();
        Writer::new(&mut text).json(root);
        self.start_joining(conn);
        let fetch = Fetch::Person { ip: claim.ip };
        self.fetch(fetch, move |gateway, now, result| {
            let person = match result {
                FetchResult::Person(person) => person,
                _ => None,
            };
            let voucher = gateway.weigh(&claim, person);
            gateway.connect_again(now, conn, text, Some(voucher));
        });
    }

    /// Judges a `connect` that had to wait, unless its connection has gone meanwhile.
    fn connect_again(&mut self, now: Now, conn: ConnId, text: Vec<u8>, voucher: Option<Voucher>) {
        let Some(peer) = self.peers.get_mut(conn) else {
            return;
        };
        let phase = std::mem::replace(&mut peer.phase, Phase::Closing);
        peer.phase = match phase {
            Phase::Joining(mut challenged) => {
                challenged.voucher = voucher.unwrap_or(challenged.voucher);
                Phase::Challenged(challenged)
            }
            other => other,
        };
        self.on_bytes(now, conn, text);
    }

    /// Answers a `connect` with an error and closes with the same words.
    pub(in crate::gateway) fn refuse_connect(
        &mut self,
        conn: ConnId,
        id: &str,
        refusal: &Refusal,
        code: u16,
    ) {
        self.counters.connects_refused += 1;
        let line = LogLine::new(
            self.now.unix_ms,
            Level::Warn,
            "gateway/ws",
            "connect refused",
        );
        let ip = self
            .peers
            .get(conn)
            .map(|peer| peer.arrival.ip().to_string());
        self.log_with(
            line.with("reason", refusal.message.to_string())
                .with("ip", ip.unwrap_or_default()),
        );
        self.respond_refusal(conn, id, refusal);
        self.close(conn, code, &refusal.message);
    }

    fn on_connect(
        &mut self,
        now: Now,
        conn: ConnId,
        id: &str,
        unknown_key: Option<&str>,
        params: Option<Json<'_, '_>>,
    ) -> Result<(), Halt> {
        let Some(Phase::Challenged(challenged)) = self.peers.get(conn).map(|peer| &peer.phase)
        else {
            return Ok(());
        };
        let challenged = challenged.clone();
        if params.is_none() {
            return Err(Refusal::invalid("invalid connect params: must be object").into());
        }
        let params = Params::new(params);
        params
            .check(&SHAPE)
            .map_err(|faults| Refusal::invalid(format!("invalid connect params: {faults}")))?;
        let connect = self.read_connect(params)?;
        if let (Some(key), 3) = (unknown_key, connect.protocol) {
            let text = format!("invalid request frame: at root: unexpected property '{key}'");
            return Err(Refusal::invalid(text).into());
        }
        if let Some(device) = connect.device
            && self.is_being_paired(device.required_text("id"))
        {
            return Err(Halt::Busy);
        }
        let proof = match connect.device {
            Some(device) => Some(self.verify_proof(&connect, device, &challenged)?),
            None => None,
        };
        let proven_id = proof.as_ref().map(Proof::device_id);
        let proven = self.check_secret(&connect, proven_id, &challenged)?;
        let spend = |proof| self.spend_proof(&connect, proof);
        let device_id = proof.map(spend).transpose()?;
        let standing = device_id
            .as_deref()
            .map(|device| self.standing(device, &connect));
        let decision = decide(&Ask {
            role: connect.role,
            scopes: connect.scopes,
            proven,
            device: standing,
            local: challenged.client.local,
            origin: &challenged.provenance,
            allow_insecure_auth: self.config().gateway.control_ui.allow_insecure_auth,
        });
        match (decision, device_id) {
            (Decision::Admit { granted }, device_id) => {
                let joiner = self.joiner(id, &connect, &challenged, device_id, proven, granted);
                self.admit(now, conn, joiner, proven);
                Ok(())
            }
            (Decision::AdmitAndPair { granted, approved }, Some(device)) => {
                let row = self.paired_silently(&connect, &device, granted, approved, &challenged);
                let joiner = self.joiner(id, &connect, &challenged, Some(device), proven, granted);
                self.store_and_admit(conn, joiner, row);
                Ok(())
            }
            (Decision::NeedPairing(standing), Some(device)) => {
                let sought = self.pairing_of(&connect, &device, standing, &challenged);
                self.request_pairing(conn, id, sought)?;
                Ok(())
            }
            (Decision::AdmitAndPair { .. } | Decision::NeedPairing(_), None) => {
                Err(Refusal::new(Code::NotPaired, PAIRING_REQUIRED).into())
            }
            (Decision::Refuse(why), _) => {
                use crate::gateway::auth::pairing::Refusal as Why;
                let code = match why {
                    Why::DeviceRequired => Code::NotPaired,
                    Why::InsecureContext => Code::InvalidRequest,
                };
                Err(Refusal::new(code, why.text()).into())
            }
        }
    }

    fn read_connect<'t, 'i>(&self, params: Params<'t, 'i>) -> Result<Connect<'t, 'i>, Halt> {
        let part = |name: &str| Params::new(params.get(name));
        let (min, max) = (params.u64("minProtocol"), params.u64("maxProtocol"));
        let protocol = agree(min.unwrap_or(0), max.unwrap_or(0)).ok_or_else(|| {
            let refusal = Refusal::invalid("protocol mismatch").with_details(|w| {
                w.object(|w| {
                    w.field_str("code", "PROTOCOL_MISMATCH");
                    w.field_opt_u64("clientMinProtocol", min);
                    w.field_opt_u64("clientMaxProtocol", max);
                    w.field_u64("expectedProtocol", u64::from(PROTOCOL_MAX));
                });
            });
            Halt::Refused(refusal, 1002)
        })?;
        let role = match params.text("role") {
            None => Role::Operator,
            Some(word) => Role::parse(word).ok_or_else(|| Refusal::invalid("invalid role"))?,
        };
        for name in ["caps", "commands", "permissions"] {
            let declared = params.get(name).map_or(0, Json::len);
            if declared > NODE_DECLARED_MAX {
                let text = format!(
                    "invalid connect params: at /{name}: must NOT have more than \
                     {NODE_DECLARED_MAX} items"
                );
                return Err(Refusal::invalid(text).into());
            }
        }
        let scope_names: Vec<&'i str> = params.texts("scopes").collect();
        Ok(Connect {
            params,
            client: part("client"),
            auth: part("auth"),
            device: params.get("device").map(|device| Params::new(Some(device))),
            protocol,
            role,
            scopes: ScopeSet::parse(scope_names.iter().copied()),
            scope_names,
        })
    }
}

/// The highest version that both sides speak.
fn agree(min: u64, max: u64) -> Option<u32> {
    let highest = max.min(u64::from(PROTOCOL_MAX));
    (highest >= min.max(u64::from(PROTOCOL_MIN))).then_some(highest as u32)
}

#[cfg(test)]
mod tests {
    use super::agree;

    #[test]
    fn the_highest_common_version_is_agreed_on() {
        for (min, max, expected) in [
            (3, 3, Some(3)),
            (3, 4, Some(4)),
            (4, 4, Some(4)),
            (1, 9, Some(4)),
            (1, 2, None),
            (5, 9, None),
            (4, 3, None),
        ] {
            assert_eq!(agree(min, max), expected, "{min}..{max}");
        }
    }
}
