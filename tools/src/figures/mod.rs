//! What the gateway costs, each figure with its goal.
//!
//! Read next: [`party`] (a client that costs little itself), [`traffic`] (what it asks for), [`floor`] (what
//! that costs at least), [`start`], [`memory`], [`calls`], [`wire`].

pub mod calls;
pub mod floor;
pub mod memory;
pub mod party;
pub mod start;
pub mod tls;
pub mod traffic;
pub mod wire;

use std::io;

use serde_json::json;

/// One measured figure.
pub struct Figure {
    what: String,
    value: f64,
    unit: &'static str,
    /// The most that it is meant to be on the machine of the README; none where the figure is only told.
    goal: Option<f64>,
    /// The most that it may be on any machine. Times say as much of the machine and of what else it does:
    /// they have none, and fail nobody.
    most: Option<f64>,
}

/// All figures, in the order in which they were measured.
#[derive(Default)]
pub struct Table {
    rows: Vec<Figure>,
}

impl Table {
    /// Adds a figure with its goal.
    pub fn put(&mut self, what: impl Into<String>, value: f64, unit: &'static str, goal: f64) {
        self.row(what.into(), value, unit, Some(goal), None);
    }

    /// Adds a figure without a goal.
    pub fn tell(&mut self, what: impl Into<String>, value: f64, unit: &'static str) {
        self.row(what.into(), value, unit, None, None);
    }

    /// Adds a count, a size or a ratio, with the most that it may be on any machine.
    pub fn hold(&mut self, what: impl Into<String>, value: f64, unit: &'static str, most: f64) {
        self.row(what.into(), value, unit, None, Some(most));
    }

    /// The same with a goal that is less.
    pub fn put_within(
        &mut self,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
        goal: f64,
        most: f64,
    ) {
        self.row(what.into(), value, unit, Some(goal), Some(most));
    }

    fn row(
        &mut self,
        what: String,
        value: f64,
        unit: &'static str,
        goal: Option<f64>,
        most: Option<f64>,
    ) {
        self.rows.push(Figure {
            what,
            value,
            unit,
            goal,
            most,
        });
    }

    /// Whether no figure is more than it may be; says which are. What could not be computed is too much.
    pub fn is_within(&self) -> bool {
        let beyond = |row: &&Figure| {
            row.most
                .is_some_and(|most| row.value > most || row.value.is_nan())
        };
        let mut all = true;
        for row in self.rows.iter().filter(beyond) {
            eprintln!("too much: {}: {:.2} {}", row.what, row.value, row.unit);
            all = false;
        }
        all
    }

    /// Writes each figure as JSON on a line of its own.
    ///
    /// # Errors
    ///
    /// When `out` takes nothing more.
    pub fn write_json(&self, out: &mut impl io::Write) -> io::Result<()> {
        for row in &self.rows {
            let mut line = json!({"what": row.what, "value": row.value, "unit": row.unit});
            if let Some(goal) = row.goal {
                line["goal"] = goal.into();
                line["missed"] = (row.value > goal).into();
            }
            if let Some(most) = row.most {
                line["most"] = most.into();
            }
            writeln!(out, "{line}")?;
        }
        Ok(())
    }

    /// Writes the table: what, figure, goal and whether it was missed, and the most that it may be, which is
    /// `-` where nobody judges it.
    ///
    /// # Errors
    ///
    /// When `out` takes nothing more.
    pub fn write(&self, out: &mut impl io::Write) -> io::Result<()> {
        let (figure, most) = ("figure", "at most");
        writeln!(
            out,
            "{:<58} {figure:>10}      {most:>8} {:>8}",
            "what", "goal"
        )?;
        for row in &self.rows {
            let most = row.most.map_or("-".into(), |most| most.to_string());
            write!(
                out,
                "{:<58} {:>10.2} {:<4} {most:>8}",
                row.what, row.value, row.unit
            )?;
            match row.goal {
                None => writeln!(out)?,
                Some(goal) if row.value <= goal => writeln!(out, " {goal:>8}")?,
                Some(goal) => writeln!(out, " {goal:>8}  MISSED")?,
            }
        }
        writeln!(
            out,
            "-: depends on the machine and what else it does, and is not judged"
        )
    }
}

/// Bytes as megabytes, of a million each.
pub fn mb(bytes: f64) -> f64 {
    bytes / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_goal_is_marked() {
        let mut table = Table::default();
        table.put("small", 1.0, "ms", 2.0);
        table.put("large", 3.0, "ms", 2.0);
        table.tell("told", 3.0, "ms");
        table.put_within("small enough", 3.0, "B", 2.0, 4.0);
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let missed: Vec<&str> = text
            .lines()
            .filter(|line| line.ends_with("MISSED"))
            .collect();
        assert_eq!(missed.len(), 2);
        assert!(missed[0].starts_with("large"));
        let mut out = Vec::new();
        table.write_json(&mut out).unwrap();
        let lines = String::from_utf8(out).unwrap();
        assert_eq!(lines.matches(r#""missed":true"#).count(), 2, "{lines}");
        assert_eq!(lines.lines().count(), 4);
    }

    #[test]
    fn only_what_may_be_so_much_at_most_is_judged() {
        let mut table = Table::default();
        table.put("a time", 300.0, "us", 2.0);
        table.hold("a ratio", 2.0, "", 2.0);
        assert!(table.is_within());
        table.hold("a ratio", 2.1, "", 2.0);
        assert!(!table.is_within());
        let mut table = Table::default();
        table.hold("nothing by nothing", f64::NAN, "", 2.0);
        assert!(!table.is_within());
    }
}
