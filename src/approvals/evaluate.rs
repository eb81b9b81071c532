//! A command held against a policy.

use super::command::Command;
use super::pattern::{is_plain, is_wild, matches};
use super::policy::{Ask, Policy, Security};
use super::programs::is_runner;

/// Whether a command may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// At once; with the patterns that allow it, which may be none.
    Allow(Vec<Use>),
    /// Not before a person says so.
    Ask(Reason),
    /// Not at all.
    Deny(Reason),
}

/// Why a command does not run by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing may run.
    Security,
    /// No pattern matches all programs of the command, or it is not certain which those are.
    Miss,
    /// A person is always asked.
    Always,
}

impl Reason {
    /// The word in events, such as `exec.denied`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Security => "security=deny",
            Self::Miss => "allowlist-miss",
            Self::Always => "approval-required",
        }
    }
}

/// A pattern and the program that it allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    pub pattern: String,
    /// The program's path.
    pub path: String,
}

impl Policy {
    /// Whether the command may run. `find` looks a program up as the execution will, and gives its
    /// absolute path, without `.` and `..`.
    pub fn evaluate(&self, command: &Command, find: impl Fn(&str) -> Option<String>) -> Verdict {
        if self.security == Security::Deny {
            return Verdict::Deny(Reason::Security);
        }
        if self.ask == Ask::Always {
            return Verdict::Ask(Reason::Always);
        }
        match (self.allowed(command, find), self.security) {
            (Some(uses), _) => Verdict::Allow(uses),
            (None, Security::Full) => Verdict::Allow(Vec::new()),
            (None, _) if self.ask == Ask::Off => Verdict::Deny(Reason::Miss),
            (None, _) => Verdict::Ask(Reason::Miss),
        }
    }

    /// Whether the command may run though nobody answered: only where the file says so.
    pub fn without_answer(&self, command: &Command, find: impl Fn(&str) -> Option<String>) -> bool {
        match self.ask_fallback.min(self.security) {
            Security::Deny => false,
            Security::Allowlist => self.allowed(command, find).is_some(),
            Security::Full => true,
        }
    }

    /// The programs that a person's "always" allows from then on: those that no pattern allows
    /// yet. None of a command whose programs are not certain, and none that runs others.
    pub fn to_allow(
        &self,
        command: &Command,
        find: impl Fn(&str) -> Option<String>,
    ) -> Vec<String> {
        let programs = command.programs().unwrap_or_default();
        let paths = programs
            .iter()
            .filter_map(|words| find(words.first()?))
            .filter(|path| is_plain(path) && !is_wild(path) && !is_runner(path))
            .filter(|path| self.pattern_of(path).is_none());
        let mut out: Vec<String> = Vec::new();
        for path in paths {
            if !out.contains(&path) {
                out.push(path);
            }
        }
        out
    }

    /// The pattern of each program, where each has one.
    fn allowed(
        &self,
        command: &Command,
        find: impl Fn(&str) -> Option<String>,
    ) -> Option<Vec<Use>> {
        let programs = command.programs()?;
        let uses = programs.iter().map(|words| {
            let path = find(words.first()?)?;
            let pattern = self.pattern_of(&path)?.to_owned();
            Some(Use { pattern, path })
        });
        uses.collect()
    }

    fn pattern_of(&self, path: &str) -> Option<&str> {
        let twins = || self.twins(path).into_iter();
        self.pattern_matching(path)
            .or_else(|| twins().find_map(|twin| self.pattern_matching(&twin)))
    }

    fn pattern_matching<'a>(&'a self, path: &str) -> Option<&'a str> {
        let home = self.home.as_deref();
        let runs_others = is_runner(path);
        let entry = self.allowlist.iter().find(|entry| {
            entry.is_understood()
                && matches(&entry.pattern, path, home)
                && !(runs_others && is_wild(&entry.pattern))
        });
        entry.map(|entry| entry.pattern.as_str())
    }

    /// The other paths of the same program: `/bin` is `/usr/bin` on most systems.
    fn twins(&self, path: &str) -> Vec<String> {
        let Some((folder, name)) = path.rsplit_once('/') else {
            return Vec::new();
        };
        let led = self.links.iter().find(|(link, _)| link == folder);
        let real = led.map_or(folder, |(_, real)| real);
        let links = self.links.iter().filter(|(_, it)| it == real);
        let folders = links.map(|(link, _)| link.as_str()).chain([real]);
        let folders = folders.filter(|it| *it != folder);
        folders.map(|it| format!("{it}/{name}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approvals::Allowed;

    fn policy(security: Security, ask: Ask, patterns: &[&str]) -> Policy {
        let allowed = |pattern: &&str| Allowed {
            pattern: (*pattern).to_owned(),
            ..Allowed::default()
        };
        Policy {
            security,
            ask,
            allowlist: patterns.iter().map(allowed).collect(),
            ..Policy::default()
        }
    }

    /// As a search of `/usr/bin` finds programs.
    fn find(name: &str) -> Option<String> {
        match name {
            "uptime" | "ls" | "rm" | "env" | "bash" | "wc" => Some(format!("/usr/bin/{name}")),
            _ => name.starts_with('/').then(|| name.to_owned()),
        }
    }

    fn shell(text: &str) -> Command {
        Command::of_shell(text).unwrap()
    }

    fn argv(words: &[&str]) -> Command {
        Command::new(words.iter().map(|it| (*it).to_owned()).collect(), None).unwrap()
    }

    const MISS: Verdict = Verdict::Ask(Reason::Miss);

    #[test]
    fn the_modes_mean_what_they_say() {
        use Security::{Allowlist, Deny, Full};
        let (known, other) = (argv(&["uptime"]), argv(&["rm", "x"]));
        let allow = |verdict| matches!(verdict, Verdict::Allow(_));
        for ask in [Ask::Off, Ask::OnMiss, Ask::Always] {
            let verdict = policy(Deny, ask, &["/usr/bin/*"]).evaluate(&known, find);
            assert_eq!(verdict, Verdict::Deny(Reason::Security));
        }
        for security in [Allowlist, Full] {
            let verdict = policy(security, Ask::Always, &["/usr/bin/*"]).evaluate(&known, find);
            assert_eq!(verdict, Verdict::Ask(Reason::Always));
        }
        let listed = |ask| policy(Allowlist, ask, &["/usr/bin/uptime"]);
        assert!(allow(listed(Ask::Off).evaluate(&known, find)));
        assert!(allow(listed(Ask::OnMiss).evaluate(&known, find)));
        assert_eq!(
            listed(Ask::Off).evaluate(&other, find),
            Verdict::Deny(Reason::Miss)
        );
        assert_eq!(listed(Ask::OnMiss).evaluate(&other, find), MISS);
        assert!(allow(policy(Full, Ask::Off, &[]).evaluate(&other, find)));
        assert!(allow(policy(Full, Ask::OnMiss, &[]).evaluate(&other, find)));
    }

    #[test]
    fn every_program_of_a_chain_needs_its_pattern() {
        let policy = policy(
            Security::Allowlist,
            Ask::OnMiss,
            &["/usr/bin/ls", "/usr/bin/wc"],
        );
        let uses = match policy.evaluate(&shell("ls -l | wc -l"), find) {
            Verdict::Allow(uses) => uses,
            other => panic!("{other:?}"),
        };
        assert_eq!(uses.len(), 2);
        assert_eq!(uses[1].path, "/usr/bin/wc");
        for text in [
            "ls; rm -rf /",
            "ls && rm x",
            "ls | rm",
            "ls $(rm x)",
            "ls `rm x`",
            "ls \"$(rm x)\"",
            "ls > /etc/passwd",
            "A=1 ls",
            "ls\nrm x",
            "ls & rm x",
            "rm x # ls",
            "cd /tmp; ./ls",
        ] {
            assert_eq!(policy.evaluate(&shell(text), find), MISS, "{text}");
        }
    }

    #[test]
    fn a_program_is_what_was_found_and_not_what_it_is_called() {
        let policy = policy(Security::Allowlist, Ask::OnMiss, &["/usr/bin/ls", "ls"]);
        let at = |path: &'static str| move |_: &str| Some(path.to_owned());
        let ls = argv(&["ls"]);
        assert!(matches!(policy.evaluate(&ls, find), Verdict::Allow(_)));
        for path in [
            "/tmp/ls",
            "/usr/bin/../../tmp/ls",
            "/usr/bin/ls ",
            "usr/bin/ls",
        ] {
            assert_eq!(policy.evaluate(&ls, at(path)), MISS, "{path}");
        }
        assert_eq!(policy.evaluate(&ls, |_| None), MISS);
        assert_eq!(policy.evaluate(&argv(&["ls "]), find), MISS);
    }

    #[test]
    fn what_runs_others_needs_a_pattern_of_its_own_and_no_always_gives_it() {
        let wild = policy(Security::Allowlist, Ask::OnMiss, &["/usr/bin/*", "/bin/*"]);
        let exact = policy(Security::Allowlist, Ask::OnMiss, &["/usr/bin/env"]);
        let env = argv(&["env", "rm", "-rf", "/"]);
        assert_eq!(wild.evaluate(&env, find), MISS);
        assert!(matches!(exact.evaluate(&env, find), Verdict::Allow(_)));
        for command in [
            env,
            shell("bash -c 'rm x'"),
            argv(&["/bin/bash", "-x", "-c", "rm x"]),
            shell("ls $(rm x)"),
        ] {
            assert_eq!(wild.evaluate(&command, find), MISS);
            let none = policy(Security::Allowlist, Ask::OnMiss, &[]);
            assert!(none.to_allow(&command, find).is_empty(), "{command:?}");
        }
    }

    #[test]
    fn always_allows_the_programs_that_no_pattern_allows_yet() {
        let policy = policy(Security::Allowlist, Ask::OnMiss, &["/usr/bin/ls"]);
        let paths = policy.to_allow(&shell("ls | wc; wc; uptime"), find);
        assert_eq!(paths, ["/usr/bin/wc", "/usr/bin/uptime"]);
        assert!(policy.to_allow(&argv(&["/tmp/a*b"]), find).is_empty());
    }

    #[test]
    fn without_an_answer_only_what_the_file_says_may_run() {
        let mut policy = policy(Security::Allowlist, Ask::Always, &["/usr/bin/ls"]);
        let (ls, rm) = (argv(&["ls"]), argv(&["rm"]));
        assert!(!policy.without_answer(&ls, find));
        policy.ask_fallback = Security::Allowlist;
        assert!(policy.without_answer(&ls, find));
        assert!(!policy.without_answer(&rm, find));
        policy.ask_fallback = Security::Full;
        assert!(
            !policy.without_answer(&rm, find),
            "the fallback is never looser than the mode"
        );
        policy.security = Security::Full;
        assert!(policy.without_answer(&rm, find));
    }

    #[test]
    fn an_entry_that_is_not_understood_allows_nothing() {
        let mut policy = policy(Security::Allowlist, Ask::OnMiss, &["/usr/bin/ls"]);
        let key = ("argPattern".to_owned(), "^-l$".into());
        policy.allowlist[0].other.extend([key]);
        assert_eq!(policy.evaluate(&argv(&["ls", "x"]), find), MISS);
    }
    #[test]
    fn a_program_in_a_folder_that_is_a_link_is_the_one_where_it_leads() {
        let links = ["/bin", "/sbin"].map(|link| (link.to_owned(), "/usr/bin".to_owned()));
        let linked = |patterns: &[&str]| {
            policy(Security::Allowlist, Ask::OnMiss, patterns).with_links(links.to_vec())
        };
        let allows = |policy: Policy, path: &str| {
            matches!(policy.evaluate(&argv(&[path]), find), Verdict::Allow(_))
        };
        for (pattern, path) in [
            ("/bin/sh", "/usr/bin/sh"),
            ("/usr/bin/sh", "/bin/sh"),
            ("/bin/ls", "/sbin/ls"),
            ("/bin/*", "/usr/bin/ls"),
        ] {
            assert!(allows(linked(&[pattern]), path), "{pattern} {path}");
            let alone = policy(Security::Allowlist, Ask::OnMiss, &[pattern]);
            assert!(!allows(alone, path), "without the links: {pattern} {path}");
        }
        for (pattern, path) in [
            ("/bin/ls", "/usr/bin/rm"),
            ("/bin/ls", "/home/u/bin/ls"),
            ("/bin/x/ls", "/usr/bin/x/ls"),
            ("/bin/*", "/usr/bin/env"),
        ] {
            assert!(!allows(linked(&[pattern]), path), "{pattern} {path}");
        }
    }
}
