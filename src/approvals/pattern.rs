//! Patterns of program paths.

use crate::limits::APPROVAL_PATTERN_BYTES_MAX;

/// Whether a pattern has stand-ins.
pub fn is_wild(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

/// Whether `pattern` matches the absolute path of a program: `*` and `?` stay within one name,
/// `**` goes over any. Letters count as they are. A pattern that is a bare name matches nothing,
/// since any folder may hold a program of that name.
pub fn matches(pattern: &str, path: &str, home: Option<&str>) -> bool {
    let pattern = pattern.trim();
    let expanded;
    let pattern = match (pattern.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => {
            expanded = format!("{}/{rest}", home.trim_end_matches('/'));
            expanded.as_str()
        }
        _ => pattern,
    };
    if !pattern.starts_with('/') && !pattern.starts_with('*') || !pattern.contains('/') {
        return false;
    }
    if pattern.len() > APPROVAL_PATTERN_BYTES_MAX || !is_plain(path) {
        return false;
    }
    if !is_wild(pattern) {
        return pattern == path;
    }
    let literal = pattern.find(['*', '?']).unwrap_or(pattern.len());
    path.starts_with(&pattern[..literal]) && glob(pattern.as_bytes(), path.as_bytes())
}

/// Whether a path is absolute and every name in it is what it seems: `/usr/bin/../../tmp/x` must
/// not be taken for something below `/usr/bin`.
pub fn is_plain(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|rest| {
        let mut names = rest.split('/');
        names.all(|name| !matches!(name, "" | "." | ".."))
    })
}

/// One row of reachable places in the path for each token of the pattern: the time is the product
/// of both lengths, whatever the pattern.
fn glob(mut pattern: &[u8], path: &[u8]) -> bool {
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    while let Some((&token, rest)) = pattern.split_first() {
        pattern = rest;
        match token {
            b'*' => {
                let crosses = pattern.first() == Some(&b'*');
                if crosses {
                    pattern = &pattern[1..];
                }
                for at in 0..path.len() {
                    reached[at + 1] |= reached[at] && (crosses || path[at] != b'/');
                }
            }
            _ => {
                for at in (0..path.len()).rev() {
                    let fits = match token {
                        b'?' => path[at] != b'/',
                        _ => path[at] == token,
                    };
                    reached[at + 1] = reached[at] && fits;
                }
                reached[0] = false;
            }
        }
    }
    reached[path.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(pattern: &str, path: &str) -> bool {
        matches(pattern, path, Some("/home/u"))
    }

    #[test]
    fn stand_ins_stay_within_a_name_unless_doubled() {
        assert!(hits("/usr/bin/uptime", "/usr/bin/uptime"));
        assert!(hits(" /usr/bin/uptime ", "/usr/bin/uptime"));
        assert!(hits("/usr/bin/*", "/usr/bin/uptime"));
        assert!(!hits("/usr/bin/*", "/usr/bin/a/b"));
        assert!(hits("/usr/bin/**", "/usr/bin/a/b"));
        assert!(hits("**/rg", "/opt/x/rg"));
        assert!(hits("/opt/*/bin/r?", "/opt/x/bin/rg"));
        assert!(!hits("/opt?bin/rg", "/opt/bin/rg"));
        assert!(!hits("/opt/**/rg", "/opt/x/rg2"));
        assert!(hits("~/bin/x", "/home/u/bin/x"));
        assert!(!matches("~/bin/x", "/home/u/bin/x", None));
        assert!(!hits("/usr/bin/Uptime", "/usr/bin/uptime"));
        assert!(!hits("/usr/bin/uptime", "/usr/bin/uptime "));
        assert!(!hits("/usr/bin/uptime", "/usr/bin/uptimed"));
    }

    #[test]
    fn a_bare_name_matches_nothing() {
        for pattern in ["uptime", "", "*", "**", "./uptime", "bin/uptime", "~"] {
            assert!(!hits(pattern, "/usr/bin/uptime"), "{pattern}");
        }
    }

    #[test]
    fn a_path_that_climbs_is_below_nothing() {
        for path in [
            "/usr/bin/../../tmp/x",
            "/usr/bin//x",
            "/usr/bin/./x",
            "/usr/bin/x/",
            "usr/bin/x",
            "",
        ] {
            assert!(!hits("/usr/bin/**", path), "{path}");
            assert!(!hits("**/x", path), "{path}");
        }
    }

    #[test]
    fn the_worst_pattern_takes_no_more_than_the_product_of_the_lengths() {
        let pattern = format!("/{}b", "**a".repeat(300));
        let path = format!("/{}", "a".repeat(4_000));
        assert!(!hits(&pattern, &path));
        let long = format!("/{}", "a".repeat(APPROVAL_PATTERN_BYTES_MAX));
        assert!(!hits(&long, &long));
    }
}
