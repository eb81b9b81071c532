//! What is wrong with a configuration, in a form that tells how to mend it.

use std::fmt;

/// How it begins what is wrong with a value whose variable is not set.
pub const UNSET_VARIABLE: &str = "needs the environment variable";

/// A place in the file's text, both numbers from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

impl Place {
    /// The place of a byte offset.
    pub fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            line: count(before.matches('\n').count() + 1),
            column: count(before[line_start..].chars().count() + 1),
        }
    }
}

/// One fault: where, what is wrong, what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Such as `gateway.auth.mode`; empty for the document as a whole.
    pub path: String,
    /// What is wrong, as the end of a sentence that begins with the path.
    pub what: String,
    /// What would be right, as a sentence without its full stop.
    pub instead: String,
    pub place: Option<Place>,
}

impl Fault {
    /// A fault whose place is not known.
    pub fn new(
        path: impl Into<String>,
        what: impl Into<String>,
        instead: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            what: what.into(),
            instead: instead.into(),
            place: None,
        }
    }

    /// The same fault at a place.
    #[must_use]
    pub fn at(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }

    /// What is wrong and what would be right, without path and place.
    pub fn message(&self) -> String {
        if self.instead.is_empty() {
            return self.what.clone();
        }
        format!("{}; {}", self.what, self.instead)
    }
}

/// `gateway.port (line 3, column 11): is 0; use a number from 1 to 65535`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.path.is_empty() {
            "the file"
        } else {
            &self.path
        })?;
        if let Some(Place { line, column }) = self.place {
            write!(f, " (line {line}, column {column})")?;
        }
        write!(f, ": {}", self.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        assert_eq!(Place::of("abc", 0), Place { line: 1, column: 1 });
        assert_eq!(Place::of("a\nbä c", 5), Place { line: 2, column: 3 });
        assert_eq!(Place::of("a", 99), Place { line: 1, column: 2 });
    }

    #[test]
    fn a_fault_says_where_what_and_what_instead() {
        let fault =
            Fault::new("gateway.port", "is 0", "use a number from 1 to 65535").at(Some(Place {
                line: 3,
                column: 11,
            }));
        assert_eq!(
            fault.to_string(),
            "gateway.port (line 3, column 11): is 0; use a number from 1 to 65535"
        );
    }
}
