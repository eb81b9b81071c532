//! The README says what the program does.

use clawdia::gateway::methods::{Access, METHODS};

/// The list of methods is the one of the table, each behind the scope that it needs.
#[test]
fn every_method_stands_in_the_readme_behind_its_scope() {
    let readme = include_str!("../README.md");
    for method in METHODS {
        let label = match method.access {
            Access::Operator(scope) => format!("| `{}` |", scope.as_str()),
            Access::Node => "| role `node` |".to_owned(),
            Access::First => continue,
        };
        let row = readme
            .lines()
            .find(|line| line.starts_with(&label))
            .unwrap_or_else(|| panic!("no row {label}"));
        let listed = row[label.len()..].trim_end_matches('|').split(',');
        assert!(
            listed.map(str::trim).any(|name| name == method.name),
            "{} does not stand behind {label}",
            method.name
        );
    }
}
