//! Clients that come and go, one after the other.

use std::io::{self, Write};

use argh::FromArgs;
use clawdia::wire::frame::Opcode;

use super::echo::addr;
use super::place::{Place, Target};
use crate::client::{connect, masked_frame};
use crate::figures::party::{As, Party};
use crate::figures::traffic::Comer;
use crate::figures::{Table, tls};

/// clients that come and go, one after the other: accept, upgrade, connect, hello, end
#[derive(FromArgs)]
#[argh(subcommand, name = "connect")]
pub struct Connect {
    /// over TLS 1.3, a full handshake each
    #[argh(switch)]
    tls: bool,
    /// with a paired device's proof and its token
    #[argh(switch)]
    proof: bool,
    /// the wire layer alone: accept, upgrade, close
    #[argh(switch)]
    bare: bool,
    /// how often (1000)
    #[argh(option, default = "1_000")]
    times: usize,
}

impl Connect {
    /// Makes the load.
    ///
    /// # Errors
    ///
    /// When somebody is not let in.
    pub fn run(&self, place: &Place, table: &mut Table) -> io::Result<()> {
        if self.bare && (self.tls || self.proof) {
            return Err(io::Error::other(
                "--bare is plain, and nobody looks at a proof",
            ));
        }
        if self.bare {
            let server = place.wire("echo")?;
            return place.measure(table, &server, ("connection", self.times), || {
                self.come_and_close(&server)
            });
        }
        if self.tls && place.at.is_some() {
            let why = "--tls needs the gateway's certificate: leave --at out";
            return Err(io::Error::other(why));
        }
        let gateway = place.gateway(if self.tls { tls::ON } else { "{}" })?;
        let suffix = gateway.door.suffix();
        if self.proof {
            let comer = Comer::pair(gateway.door.clone(), &gateway.token)?;
            let what = format!("connect with proof{suffix}");
            return place.measure(table, &gateway, (&what, self.times), || {
                comer.come(self.times)
            });
        }
        let what = format!("connect{suffix}");
        place.measure(table, &gateway, (&what, self.times), || {
            (0..self.times).try_for_each(|_| {
                Party::join(gateway.door.clone(), As::Operator, &gateway.token).map(drop)
            })
        })
    }

    fn come_and_close(&self, server: &Target) -> io::Result<()> {
        let close = masked_frame(Opcode::Close, &1000_u16.to_be_bytes());
        (0..self.times).try_for_each(|_| connect(addr(server.port))?.write_all(&close))
    }
}
