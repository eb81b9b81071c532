//! The header by which a proxy says whose connection it passes on: PROXY protocol, versions 1
//! and 2 (haproxy.org, `proxy-protocol.txt`, 2020-03-05).
//!
//! It is the first thing on a connection, before TLS. Whom to believe is not decided here.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::limits::PROXY_HEADER_BYTES_MAX;

/// A whole header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The client's address; None where the proxy speaks for itself, such as to see whether we
    /// live, or for a client without an address.
    pub source: Option<SocketAddr>,
    /// The header's length in bytes.
    pub len: usize,
}

/// The bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoHeader;

/// 2.2: the start of a header of version 2.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const FIXED_LEN: usize = 16;
const PREFIX: &[u8; 6] = b"PROXY ";
/// 2.1: the longest line of version 1, its end included.
const LINE_BYTES_MAX: usize = 107;

/// Reads the header at the start of `bytes`. None while bytes are missing.
///
/// # Errors
///
/// As soon as it cannot become one any more.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, NoHeader> {
    if begins(bytes, PREFIX) {
        line(bytes)
    } else if begins(bytes, SIGNATURE) {
        binary(bytes)
    } else {
        Err(NoHeader)
    }
}

/// Whether `bytes` begin like `start`, as far as they go.
fn begins(bytes: &[u8], start: &[u8]) -> bool {
    let len = bytes.len().min(start.len());
    bytes[..len] == start[..len]
}

fn line(bytes: &[u8]) -> Result<Option<Header>, NoHeader> {
    let within = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let Some(end) = within.iter().position(|byte| *byte == b'\n') else {
        return match bytes.len() < LINE_BYTES_MAX {
            true => Ok(None),
            false => Err(NoHeader),
        };
    };
    let text = within[..end].strip_suffix(b"\r").ok_or(NoHeader)?;
    let text = str::from_utf8(text).map_err(|_| NoHeader)?;
    let source = source_of_line(text).ok_or(NoHeader)?;
    Ok(Some(Header {
        source,
        len: end + 1,
    }))
}

/// The outer None is a malformed line, the inner one a client without an address.
fn source_of_line(text: &str) -> Option<Option<SocketAddr>> {
    let mut words = text.split(' ');
    if words.next()? != "PROXY" {
        return None;
    }
    let family = words.next()?;
    if family == "UNKNOWN" {
        // 2.1: the rest of the line has to be ignored.
        return Some(None);
    }
    let (source, target): (IpAddr, IpAddr) =
        (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let fits = match family {
        "TCP4" => source.is_ipv4() && target.is_ipv4(),
        "TCP6" => source.is_ipv6() && target.is_ipv6(),
        _ => false,
    };
    let (port, _) = (port(words.next()?)?, port(words.next()?)?);
    (fits && words.next().is_none()).then(|| Some(SocketAddr::new(source, port)))
}

fn port(text: &str) -> Option<u16> {
    let plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

fn binary(bytes: &[u8]) -> Result<Option<Header>, NoHeader> {
    let Some(fixed) = bytes.get(..FIXED_LEN) else {
        return Ok(None);
    };
    let len = FIXED_LEN + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if len > PROXY_HEADER_BYTES_MAX {
        return Err(NoHeader);
    }
    let is_proxied = match fixed[12] {
        0x20 => false,
        0x21 => true,
        _ => return Err(NoHeader),
    };
    let address_len = match (is_proxied, fixed[13]) {
        // UNSPEC and Unix addresses, and whatever a proxy says of itself.
        (false, _) | (true, 0x00 | 0x31) => 0,
        (true, 0x11) => 12,
        (true, 0x21) => 36,
        (true, _) => return Err(NoHeader),
    };
    if len < FIXED_LEN + address_len {
        return Err(NoHeader);
    }
    let Some(addresses) = bytes.get(FIXED_LEN..len) else {
        return Ok(None);
    };
    let source = match address_len {
        12 => source::<4>(addresses).map(|(ip, port)| (IpAddr::V4(Ipv4Addr::from(ip)), port)),
        36 => source::<16>(addresses).map(|(ip, port)| (IpAddr::V6(Ipv6Addr::from(ip)), port)),
        _ => None,
    };
    Ok(Some(Header {
        source: source.map(|(ip, port)| SocketAddr::new(ip, port)),
        len,
    }))
}

/// The first of two addresses of `N` bytes and the first of the two ports behind them.
fn source<const N: usize>(addresses: &[u8]) -> Option<([u8; N], u16)> {
    let ip = addresses.get(..N)?.try_into().ok()?;
    let port = addresses.get(2 * N..2 * N + 2)?.try_into().ok()?;
    Some((ip, u16::from_be_bytes(port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(bytes: &[u8]) -> Option<String> {
        let header = parse(bytes).unwrap().unwrap();
        assert_eq!(header.len, bytes.len());
        header.source.map(|addr| addr.to_string())
    }

    fn binary(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend((addresses.len() as u16).to_be_bytes());
        bytes.extend(addresses);
        bytes
    }

    fn four() -> Vec<u8> {
        let mut addresses = vec![203, 0, 113, 7, 192, 0, 2, 2];
        addresses.extend([0x10, 0x01, 0x01, 0xbb]);
        addresses
    }

    #[test]
    fn both_versions_tell_the_client() {
        let line = b"PROXY TCP4 203.0.113.7 192.0.2.2 4097 443\r\n";
        assert_eq!(source(line).as_deref(), Some("203.0.113.7:4097"));
        let line = b"PROXY TCP6 2001:db8::7 2001:db8::1 65535 0\r\n";
        assert_eq!(source(line).as_deref(), Some("[2001:db8::7]:65535"));
        assert_eq!(
            source(&binary(0x21, 0x11, &four())).as_deref(),
            Some("203.0.113.7:4097")
        );
        let mut six = [0x20, 1, 0xd, 0xb8].to_vec();
        six.extend([0; 11]);
        six.push(7);
        six.extend([0; 16]);
        six.extend([0, 80, 0, 81]);
        assert_eq!(
            source(&binary(0x21, 0x21, &six)).as_deref(),
            Some("[2001:db8::7]:80")
        );
        // Behind the addresses come values that mean nothing to us.
        let mut more = four();
        more.extend([4, 0, 1, 9]);
        assert_eq!(
            source(&binary(0x21, 0x11, &more)).as_deref(),
            Some("203.0.113.7:4097")
        );
    }

    #[test]
    fn a_proxy_may_speak_for_itself() {
        assert_eq!(source(b"PROXY UNKNOWN\r\n"), None);
        assert_eq!(source(b"PROXY UNKNOWN ffff::1 whatever\r\n"), None);
        assert_eq!(source(&binary(0x20, 0x00, &[])), None);
        assert_eq!(source(&binary(0x20, 0x11, &four())), None);
        assert_eq!(source(&binary(0x21, 0x00, &[1, 2, 3])), None);
        assert_eq!(source(&binary(0x21, 0x31, &[0; 216])), None);
    }

    #[test]
    fn a_header_in_pieces_is_awaited_and_what_follows_is_left() {
        for whole in [
            b"PROXY TCP4 203.0.113.7 192.0.2.2 4097 443\r\n".to_vec(),
            binary(0x21, 0x11, &four()),
        ] {
            for cut in 0..whole.len() {
                assert_eq!(parse(&whole[..cut]), Ok(None), "{cut}");
            }
            let mut with_more = whole.clone();
            with_more.extend(b"GET / HTTP/1.1\r\n");
            assert_eq!(parse(&with_more).unwrap().unwrap().len, whole.len());
        }
    }

    #[test]
    fn what_is_no_header_is_refused_at_once() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"\x16\x03\x01",
            b"PROXY\r\n",
            b"PROXY TCP4 203.0.113.7 192.0.2.2 4097 443\n",
            b"PROXY TCP4 203.0.113.7 192.0.2.2 4097 443 \r\n",
            b"PROXY TCP4 203.0.113.7  192.0.2.2 4097 443\r\n",
            b"PROXY TCP4 203.0.113.7 192.0.2.2 04097 443\r\n",
            b"PROXY TCP4 203.0.113.7 192.0.2.2 +4097 443\r\n",
            b"PROXY TCP4 203.0.113.7 192.0.2.2 65536 443\r\n",
            b"PROXY TCP4 2001:db8::7 192.0.2.2 1 2\r\n",
            b"PROXY TCP6 203.0.113.7 192.0.2.2 1 2\r\n",
            b"PROXY UDP4 203.0.113.7 192.0.2.2 1 2\r\n",
            b"proxy TCP4 203.0.113.7 192.0.2.2 1 2\r\n",
        ] {
            assert_eq!(parse(bytes), Err(NoHeader), "{}", bytes.escape_ascii());
        }
        assert_eq!(
            parse(&[&b"PROXY TCP4 "[..], &[b'1'; 107]].concat()),
            Err(NoHeader)
        );
        for (command, family, addresses) in [
            (0x11, 0x11, four()),
            (0x22, 0x11, four()),
            (0x21, 0x12, four()),
            (0x21, 0x11, four()[..11].to_vec()),
            (0x21, 0x21, four()),
            (0x21, 0x11, vec![0; PROXY_HEADER_BYTES_MAX]),
        ] {
            let bytes = binary(command, family, &addresses);
            assert_eq!(parse(&bytes), Err(NoHeader), "{command:x} {family:x}");
        }
    }
}
