//! What the gateway costs, each figure with its goal.
//!
//! Read next: [`party`] (a client that costs little itself), [`start`], [`memory`], [`calls`], [`wire`].

pub mod calls;
pub mod memory;
pub mod party;
pub mod start;
pub mod tls;
pub mod wire;

use std::io;

use serde_json::json;

/// One measured figure.
pub struct Figure {
    what: String,
    value: f64,
    unit: &'static str,
    /// The most that it may be; none where the figure is only told.
    goal: Option<f64>,
    /// Time by the clock says as much of what else the machine does: it is told, and fails nobody.
    is_wall: bool,
}

/// All figures, in the order in which they were measured.
#[derive(Default)]
pub struct Table {
    rows: Vec<Figure>,
}

impl Table {
    /// Adds a figure with its goal.
    pub fn put(&mut self, what: impl Into<String>, value: f64, unit: &'static str, goal: f64) {
        self.row(what.into(), value, unit, Some(goal), false);
    }

    /// Adds time by the clock with its goal.
    pub fn put_wall(&mut self, what: impl Into<String>, value: f64, unit: &'static str, goal: f64) {
        self.row(what.into(), value, unit, Some(goal), true);
    }

    /// Adds a figure without a goal.
    pub fn tell(&mut self, what: impl Into<String>, value: f64, unit: &'static str) {
        self.row(what.into(), value, unit, None, false);
    }

    fn row(
        &mut self,
        what: String,
        value: f64,
        unit: &'static str,
        goal: Option<f64>,
        is_wall: bool,
    ) {
        self.rows.push(Figure {
            what,
            value,
            unit,
            goal,
            is_wall,
        });
    }

    /// Whether no figure but time by the clock is beyond so many times its goal.
    pub fn is_within(&self, factor: f64) -> bool {
        let is_within =
            |row: &Figure| row.is_wall || row.goal.is_none_or(|goal| row.value <= goal * factor);
        self.rows.iter().all(is_within)
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
            writeln!(out, "{line}")?;
        }
        Ok(())
    }

    /// Writes the table: what, figure, goal, and whether it was missed.
    ///
    /// # Errors
    ///
    /// When `out` takes nothing more.
    pub fn write(&self, out: &mut impl io::Write) -> io::Result<()> {
        writeln!(out, "{:<58} {:>10}      {:>8}", "what", "figure", "goal")?;
        for Figure {
            what,
            value,
            unit,
            goal,
            ..
        } in &self.rows
        {
            write!(out, "{what:<58} {value:>10.2} {unit:<4}")?;
            match goal {
                None => writeln!(out)?,
                Some(goal) if value <= goal => writeln!(out, " {goal:>8}")?,
                Some(goal) => writeln!(out, " {goal:>8}  MISSED")?,
            }
        }
        Ok(())
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
        table.put_wall("by the clock", 0.5, "ms", 1.0);
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let missed: Vec<&str> = text
            .lines()
            .filter(|line| line.ends_with("MISSED"))
            .collect();
        assert_eq!(missed.len(), 1);
        assert!(missed[0].starts_with("large"));
        assert!(table.is_within(1.5) && !table.is_within(1.4));
        let mut out = Vec::new();
        table.write_json(&mut out).unwrap();
        let lines = String::from_utf8(out).unwrap();
        assert_eq!(lines.matches(r#""missed":true"#).count(), 1, "{lines}");
        assert_eq!(lines.lines().count(), 4);
        table.put_wall("by the clock", 50.0, "ms", 1.0);
        assert!(table.is_within(1.5));
    }
}
