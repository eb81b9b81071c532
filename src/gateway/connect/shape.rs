//! What `connect` must look like.

use crate::gateway::params::{COUNT, Kind, NAME, POSITIVE, Shape, TEXT, opt, req};
use crate::limits::NODE_DECLARED_CHARS_MAX;

const fn open(fields: &'static [crate::gateway::params::Field]) -> Shape {
    Shape { fields, open: true }
}

const DECLARED: Kind = Kind::List {
    min: 0,
    of: &Kind::Text {
        min: 1,
        max: NODE_DECLARED_CHARS_MAX,
    },
};

/// Parameters of `connect`. Unknown members are let through, here and below.
pub const SHAPE: Shape = open(&[
    req("minProtocol", POSITIVE),
    req("maxProtocol", POSITIVE),
    req(
        "client",
        Kind::Object(&open(&[
            req("id", NAME),
            opt("displayName", NAME),
            req("version", NAME),
            req("platform", NAME),
            opt("deviceFamily", NAME),
            opt("modelIdentifier", NAME),
            req(
                "mode",
                Kind::OneOf(&["webchat", "cli", "ui", "backend", "node", "probe", "test"]),
            ),
            opt("instanceId", NAME),
        ])),
    ),
    opt("caps", DECLARED),
    opt("commands", DECLARED),
    opt("permissions", Kind::Map(&Kind::Bool)),
    opt("pathEnv", TEXT),
    opt("role", NAME),
    opt("scopes", Kind::List { min: 0, of: &NAME }),
    opt(
        "device",
        Kind::Object(&open(&[
            req("id", NAME),
            req("publicKey", NAME),
            req("signature", NAME),
            req("signedAt", COUNT),
            opt("nonce", NAME),
        ])),
    ),
    opt(
        "auth",
        Kind::Object(&open(&[
            opt("token", TEXT),
            opt("password", TEXT),
            opt("deviceToken", TEXT),
            opt("bootstrapToken", TEXT),
        ])),
    ),
    opt("locale", TEXT),
    opt("userAgent", TEXT),
]);
