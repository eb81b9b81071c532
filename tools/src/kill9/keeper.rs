//! Devices: paired, seen again, their tokens rotated, until the gateway dies.

use std::path::{Path, PathBuf};

use clawdia::client::identity::Identity;
use clawdia::client::{Client, ClientError};
use clawdia::driver::Seeded;
use serde_json::json;

use super::{Access, deadline};

/// A device whose pairing was acknowledged.
pub struct Device {
    identity: Identity,
    /// The token that it was given last.
    token: String,
    /// The token before, which is worth nothing any more.
    retired: Option<String>,
    /// A rotation was asked for and not answered: the token may be another one.
    doubtful: bool,
    /// The life of the gateway in which it was last used.
    pub life: u32,
}

/// A client that pairs one device after the other.
pub struct Keeper {
    dir: PathBuf,
    random: Seeded,
    pub devices: Vec<Device>,
    made: u64,
    pub acknowledged: u64,
    pub faults: Vec<String>,
}

impl Keeper {
    /// A keeper whose devices have their keys in `dir`.
    pub fn new(dir: &Path, random: Seeded) -> Self {
        Self {
            dir: dir.to_owned(),
            random,
            devices: Vec::new(),
            made: 0,
            acknowledged: 0,
            faults: Vec::new(),
        }
    }

    /// Pairs and rotates until the gateway is gone.
    pub fn keep(&mut self, access: &Access) {
        loop {
            let went = match (self.random.below(4), self.devices.is_empty()) {
                (0..2, _) | (_, true) => self.pair(access),
                _ => {
                    let at = self.random.below(self.devices.len() as u64) as usize;
                    self.check(access, at)
                        .and_then(|client| self.rotate(at, access, client))
                }
            };
            if let Err(error) = went {
                self.faults.extend(access.fault("a device", &error));
                return;
            }
        }
    }

    /// Lets a device in that the gateway has never seen; half of them rotate at once.
    fn pair(&mut self, access: &Access) -> Result<(), ClientError> {
        self.made += 1;
        let identity = Identity::load_or_create(&self.dir.join(self.made.to_string()))?;
        let client = access.enter(&identity)?;
        let token = given(&client)?;
        self.acknowledged += 1;
        self.devices.push(Device {
            identity,
            token,
            retired: None,
            doubtful: false,
            life: access.life,
        });
        match self.random.below(2) {
            0 => self.rotate(self.devices.len() - 1, access, client),
            _ => Ok(()),
        }
    }

    fn rotate(
        &mut self,
        at: usize,
        access: &Access,
        mut client: Client,
    ) -> Result<(), ClientError> {
        let device = &mut self.devices[at];
        device.life = access.life;
        device.doubtful = true;
        let params = json!({"deviceId": device.identity.device_id(), "role": "operator"});
        let answer = client.call("device.token.rotate", &params, deadline())?;
        let token = answer["token"].as_str().unwrap_or("");
        if token.is_empty() || token == device.token {
            self.faults
                .push(format!("a rotation gave no new token: {answer}"));
        }
        device.retired = Some(std::mem::replace(&mut device.token, token.to_owned()));
        device.doubtful = false;
        self.acknowledged += 1;
        Ok(())
    }

    /// Comes in again as a device, with its token alone; a retired one must be refused.
    ///
    /// # Errors
    ///
    /// The gateway does not let it in, or is gone.
    pub fn check(&mut self, access: &Access, at: usize) -> Result<Client, ClientError> {
        let device = &mut self.devices[at];
        if let Some(retired) = &device.retired {
            match access.knock(&device.identity, retired) {
                Err(error) if error.as_gateway().is_some() => {}
                Err(error) => return Err(error),
                Ok(_) => self.faults.push(format!(
                    "device {}: a token that was rotated away lets it in",
                    device.identity.device_id()
                )),
            }
        }
        let client = match access.knock(&device.identity, &device.token) {
            // The rotation was stored, and nobody heard of it: the old token must be dead.
            Err(error) if device.doubtful && error.as_gateway().is_some() => {
                access.enter(&device.identity)?
            }
            other => other?,
        };
        let token = given(&client)?;
        if token != device.token {
            if !device.doubtful {
                self.faults.push(format!(
                    "device {}: its token was replaced by itself",
                    device.identity.device_id()
                ));
            }
            device.retired = Some(std::mem::replace(&mut device.token, token));
        }
        device.doubtful = false;
        Ok(client)
    }
}

fn given(client: &Client) -> Result<String, ClientError> {
    let token = client.hello().device_token.clone();
    token.ok_or_else(|| ClientError::protocol("the hello of a paired device has no token"))
}
