//! What a method's parameters must look like, as data; one checker for all methods.
//!
//! The texts are those that clients of protocol version 3 know: every fault is named with its
//! path, joined by `; `, missing properties first, then unknown ones, then wrong ones.

use crate::wire::json::Json;

/// The members of an object. Unknown ones are refused unless the object is open.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Members that may be there.
    pub fields: &'static [Field],
    /// Whether other members are let through.
    pub open: bool,
}

/// One member of an object.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The member's name.
    pub name: &'static str,
    /// Whether it has to be there.
    pub required: bool,
    /// Whether null is allowed and means something.
    pub nullable: bool,
    /// What its value must be.
    pub kind: Kind,
}

/// What a value must be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any JSON.
    Any,
    /// `true` or `false`.
    Bool,
    /// A string with a least and a most number of characters.
    Text { min: usize, max: usize },
    /// A whole number within bounds.
    Int { min: u64, max: u64 },
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// An array with at least `min` elements of one kind.
    List { min: usize, of: &'static Kind },
    /// An object whose members all are of one kind.
    Map(&'static Kind),
    /// An object of its own.
    Object(&'static Shape),
}

/// Any string.
pub const TEXT: Kind = Kind::Text {
    min: 0,
    max: usize::MAX,
};
/// A string that is not empty.
pub const NAME: Kind = Kind::Text {
    min: 1,
    max: usize::MAX,
};
/// A whole number that is not negative.
pub const COUNT: Kind = Kind::Int {
    min: 0,
    max: u64::MAX,
};
/// A whole number from 1.
pub const POSITIVE: Kind = Kind::Int {
    min: 1,
    max: u64::MAX,
};
/// No members at all.
pub const NONE: Shape = closed(&[]);
/// Whatever the caller sends; the method looks itself.
pub const OPEN: Shape = Shape {
    fields: &[],
    open: true,
};

/// An object with these members and no others.
pub const fn closed(fields: &'static [Field]) -> Shape {
    Shape {
        fields,
        open: false,
    }
}

/// A member that has to be there.
pub const fn req(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        required: true,
        nullable: false,
        kind,
    }
}

/// A member that may be there.
pub const fn opt(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        required: false,
        nullable: false,
        kind,
    }
}

/// A member that may be there, or be null.
pub const fn nullable(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        required: false,
        nullable: true,
        kind,
    }
}

/// A method's parameters; absent ones read as an empty object.
#[derive(Clone, Copy, Debug)]
pub struct Params<'t, 'i> {
    root: Option<Json<'t, 'i>>,
}

impl<'t, 'i> Params<'t, 'i> {
    /// Of a request.
    pub fn new(root: Option<Json<'t, 'i>>) -> Self {
        Self { root }
    }

    /// All of them, as an owned document.
    pub fn to_value(self) -> serde_json::Value {
        self.root.map_or_else(Default::default, Json::to_value)
    }

    /// The member `name`; a null reads as absent.
    pub fn get(self, name: &str) -> Option<Json<'t, 'i>> {
        self.root?.get(name).filter(|value| !value.is_null())
    }

    /// Whether the member is there and null.
    pub fn is_null(self, name: &str) -> bool {
        self.root
            .and_then(|root| root.get(name))
            .is_some_and(Json::is_null)
    }

    /// The text of member `name`.
    pub fn text(self, name: &str) -> Option<&'i str> {
        self.get(name)?.as_str()
    }

    /// The text of member `name`, which the shape requires.
    pub fn required_text(self, name: &str) -> &'i str {
        self.text(name).unwrap_or("")
    }

    /// The whole number of member `name`.
    pub fn u64(self, name: &str) -> Option<u64> {
        self.get(name)?.as_u64()
    }

    /// The truth of member `name`.
    pub fn bool(self, name: &str) -> Option<bool> {
        self.get(name)?.as_bool()
    }

    /// The texts of the array `name`.
    pub fn texts(self, name: &str) -> impl Iterator<Item = &'i str> {
        self.get(name)
            .into_iter()
            .flat_map(Json::elements)
            .filter_map(Json::as_str)
    }

    /// The whole object.
    pub fn root(self) -> Option<Json<'t, 'i>> {
        self.root
    }

    /// Checks against `shape`.
    ///
    /// # Errors
    ///
    /// All faults in one text, without the method's name.
    pub fn check(self, shape: &Shape) -> Result<(), String> {
        self.check_with(shape, Faults::default())
    }

    /// The same for a client of a version that knows more members than this gateway: those are
    /// passed over.
    ///
    /// # Errors
    ///
    /// As [`Params::check`].
    pub fn check_known(self, shape: &Shape) -> Result<(), String> {
        let faults = Faults {
            unknown_pass: true,
            ..Faults::default()
        };
        self.check_with(shape, faults)
    }

    fn check_with(self, shape: &Shape, mut faults: Faults) -> Result<(), String> {
        match self.root {
            Some(root) => check_object(root, shape, Place::Root, &mut faults),
            None => {
                for field in shape.fields.iter().filter(|field| field.required) {
                    faults.missing(Place::Root, field.name);
                }
            }
        }
        if faults.list.is_empty() {
            Ok(())
        } else {
            Err(faults.list.join("; "))
        }
    }
}

/// More faults than this help nobody.
const FAULTS_MAX: usize = 16;

/// Follows the faults of each alternative.
const ANY_OF: &str = "must match a schema in anyOf";

/// Where a value stands. It is only written where there is a fault: a good call costs no memory.
#[derive(Clone, Copy)]
enum Place<'a> {
    Root,
    Member(&'a Place<'a>, &'a str),
    Element(&'a Place<'a>, usize),
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Member(outer, name) => write!(f, "{outer}/{name}"),
            Self::Element(outer, at) => write!(f, "{outer}/{at}"),
        }
    }
}

#[derive(Default)]
struct Faults {
    list: Vec<String>,
    /// Unknown members are no faults.
    unknown_pass: bool,
}

impl Faults {
    fn add(&mut self, place: Place<'_>, text: &str) {
        self.push(match place {
            Place::Root => text.to_owned(),
            _ => format!("at {place}: {text}"),
        });
    }

    fn missing(&mut self, place: Place<'_>, name: &str) {
        self.add(place, &format!("must have required property '{name}'"));
    }

    fn unexpected(&mut self, place: Place<'_>, name: &str) {
        let name: String = name.chars().take(64).collect();
        self.push(match place {
            Place::Root => format!("at root: unexpected property '{name}'"),
            _ => format!("at {place}: unexpected property '{name}'"),
        });
    }

    fn push(&mut self, fault: String) {
        if self.list.len() < FAULTS_MAX && !self.list.contains(&fault) {
            self.list.push(fault);
        }
    }
}

fn check_object(value: Json<'_, '_>, shape: &Shape, place: Place<'_>, faults: &mut Faults) {
    if !value.is_object() {
        return faults.add(place, "must be object");
    }
    for field in shape.fields.iter().filter(|field| field.required) {
        if value.get(field.name).is_none() {
            faults.missing(place, field.name);
        }
    }
    let known = |name: &str| shape.fields.iter().find(|field| field.name == name);
    if !shape.open && !faults.unknown_pass {
        for (name, _) in value.members().filter(|(name, _)| known(name).is_none()) {
            faults.unexpected(place, name);
        }
    }
    for (name, member) in value.members() {
        if let Some(field) = known(name) {
            if field.nullable && member.is_null() {
                continue;
            }
            let before = faults.list.len();
            let at = Place::Member(&place, name);
            check_kind(member, field.kind, at, faults);
            if field.nullable && faults.list.len() > before {
                // Null is one more alternative: one line at the end speaks for all of them.
                let any_of = format!("at {at}: {ANY_OF}");
                faults.list.retain(|fault| *fault != any_of);
                faults.add(at, "must be null");
                faults.add(at, ANY_OF);
            }
        }
    }
}

fn check_kind(value: Json<'_, '_>, kind: Kind, place: Place<'_>, faults: &mut Faults) {
    match kind {
        Kind::Any => {}
        Kind::Bool => {
            if value.as_bool().is_none() {
                faults.add(place, "must be boolean");
            }
        }
        Kind::Text { min, max } => match value.as_str().map(|text| text.chars().count()) {
            None => faults.add(place, "must be string"),
            Some(len) if len < min => {
                faults.add(place, &format!("must NOT have fewer than {min} characters"));
            }
            Some(len) if len > max => {
                faults.add(place, &format!("must NOT have more than {max} characters"));
            }
            Some(_) => {}
        },
        Kind::Int { min, max } => match value.as_f64() {
            Some(number) if number.fract() == 0.0 => match value.as_u64() {
                Some(number) if number > max => faults.add(place, &format!("must be <= {max}")),
                Some(number) if number >= min => {}
                None if number > 0.0 => faults.add(place, &format!("must be <= {max}")),
                _ => faults.add(place, &format!("must be >= {min}")),
            },
            _ => faults.add(place, "must be integer"),
        },
        Kind::OneOf(words) => {
            if !value.as_str().is_some_and(|text| words.contains(&text)) {
                faults.add(place, "must be equal to constant");
                faults.add(place, ANY_OF);
            }
        }
        Kind::List { min, of } => {
            if !value.is_array() {
                return faults.add(place, "must be array");
            }
            if value.elements().count() < min {
                faults.add(place, &format!("must NOT have fewer than {min} items"));
            }
            for (at, element) in value.elements().enumerate() {
                check_kind(element, *of, Place::Element(&place, at), faults);
                if faults.list.len() >= FAULTS_MAX {
                    return;
                }
            }
        }
        Kind::Map(of) => {
            if !value.is_object() {
                return faults.add(place, "must be object");
            }
            for (name, member) in value.members() {
                check_kind(member, *of, Place::Member(&place, name), faults);
            }
        }
        Kind::Object(shape) => check_object(value, shape, place, faults),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = closed(&[
        req("name", NAME),
        opt("limit", Kind::Int { min: 1, max: 1000 }),
        opt("mode", Kind::OneOf(&["now", "later"])),
        nullable("label", Kind::Text { min: 1, max: 4 }),
        nullable("policy", Kind::OneOf(&["allow", "deny"])),
        opt("keys", Kind::List { min: 1, of: &NAME }),
        opt("client", Kind::Object(&closed(&[req("id", NAME)]))),
    ]);

    fn check(text: &str) -> Result<(), String> {
        let mut bytes = text.as_bytes().to_vec();
        let tape = simd_json::to_tape(&mut bytes).unwrap();
        Params::new(Json::from_tape(&tape.0)).check(&SHAPE)
    }

    #[test]
    fn faults_are_told_in_the_words_that_clients_know() {
        assert_eq!(check(r#"{"name":"x","limit":2,"label":null}"#), Ok(()));
        assert_eq!(
            Params::new(None).check(&SHAPE),
            Err("must have required property 'name'".into())
        );
        for (text, expected) in [
            ("[]", "must be object"),
            (
                r#"{"foo":1}"#,
                "must have required property 'name'; at root: unexpected property 'foo'",
            ),
            (
                r#"{"name":""}"#,
                "at /name: must NOT have fewer than 1 characters",
            ),
            (r#"{"name":1}"#, "at /name: must be string"),
            (r#"{"name":"x","limit":0}"#, "at /limit: must be >= 1"),
            (r#"{"name":"x","limit":-1}"#, "at /limit: must be >= 1"),
            (r#"{"name":"x","limit":1001}"#, "at /limit: must be <= 1000"),
            (
                r#"{"name":"x","limit":1e308}"#,
                "at /limit: must be <= 1000",
            ),
            (r#"{"name":"x","limit":1.5}"#, "at /limit: must be integer"),
            (
                r#"{"name":"x","mode":"no"}"#,
                "at /mode: must be equal to constant; at /mode: must match a schema in anyOf",
            ),
            (
                r#"{"name":"x","label":"abcde"}"#,
                "at /label: must NOT have more than 4 characters; at /label: must be null; \
                 at /label: must match a schema in anyOf",
            ),
            (
                r#"{"name":"x","policy":"no"}"#,
                "at /policy: must be equal to constant; at /policy: must be null; \
                 at /policy: must match a schema in anyOf",
            ),
            (
                r#"{"name":"x","keys":[]}"#,
                "at /keys: must NOT have fewer than 1 items",
            ),
            (r#"{"name":"x","keys":[1]}"#, "at /keys/0: must be string"),
            (
                r#"{"name":"x","client":{"bar":1}}"#,
                "at /client: must have required property 'id'; \
                 at /client: unexpected property 'bar'",
            ),
        ] {
            assert_eq!(check(text), Err(expected.into()), "{text}");
        }
    }
}
