//! The variables that a unit gives its service (systemd.exec(5), "Environment"), as far as its files say them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What the unit's file sets, the drop-ins beside it (`NAME.service.d/*.conf`) and the environment files that they name;
/// the last one counts. What cannot be read sets nothing.
pub fn of_unit(unit: &Path, home: Option<&Path>) -> BTreeMap<String, String> {
    let mut drop_ins = unit.as_os_str().to_owned();
    drop_ins.push(".d");
    let entries = fs::read_dir(drop_ins).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|it| it == "conf"));
    files.sort();
    files.insert(0, unit.to_owned());
    let (mut set, mut named) = (BTreeMap::new(), Vec::new());
    for text in files
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
    {
        for line in text.lines() {
            if let Some(words) = line.trim().strip_prefix("Environment=") {
                set.extend(split(words).iter().filter_map(|word| assignment(word)));
            } else if let Some(path) = line.trim().strip_prefix("EnvironmentFile=") {
                let path = path.trim().trim_start_matches('-');
                let home = home.map_or_else(String::new, |home| home.display().to_string());
                named.push(path.replace("%h", &home));
            }
        }
    }
    // An environment file outranks `Environment=`, wherever that stands.
    for text in named
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
    {
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.starts_with(['#', ';']));
        set.extend(lines.filter_map(|line| {
            let (name, value) = line.split_once('=')?;
            assignment(&format!("{}={}", name.trim(), split(value).join(" ")))
        }));
    }
    set
}

fn assignment(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!name.is_empty() && name.chars().all(fits)).then(|| (name.to_owned(), value.to_owned()))
}

/// Words between blanks; quotes hold them together, and a backslash takes what follows as it is.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', _) => word.get_or_insert_default().extend(chars.next()),
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_its_drop_ins_and_their_files_set_variables() {
        let dir = tempfile::tempdir().unwrap();
        let unit = dir.path().join("x.service");
        let drop_ins = dir.path().join("x.service.d");
        fs::create_dir(&drop_ins).unwrap();
        fs::write(
            &unit,
            "[Service]\nEnvironment=\"A=one two\" B=2 C\nExecStart=/x\n",
        )
        .unwrap();
        let file =
            "[Service]\nEnvironment=B=3\nEnvironmentFile=-%h/env\nEnvironmentFile=/no/such\n";
        fs::write(drop_ins.join("override.conf"), file).unwrap();
        fs::write(drop_ins.join("override.conf~"), "Environment=D=4").unwrap();
        let lines = "# TOKEN=no\n TOKEN = 'a # b' \nKEY=\"x\\\"y\"\nnothing\nA=last\n";
        fs::write(dir.path().join("env"), lines).unwrap();
        let set = of_unit(&unit, Some(dir.path()));
        let set: Vec<_> = set.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let expected = [
            ("A", "last"),
            ("B", "3"),
            ("KEY", "x\"y"),
            ("TOKEN", "a # b"),
        ];
        assert_eq!(set, expected);
        assert!(of_unit(&dir.path().join("y.service"), None).is_empty());
    }
}
