//! Aligned columns.

use super::out::{Out, Paint};
use super::text::printable;

/// One cell: text and how it is painted.
pub struct Cell(String, Paint);

impl Cell {
    /// A painted cell; what a terminal would obey is made visible.
    pub fn new(text: impl AsRef<str>, paint: Paint) -> Self {
        Self(printable(text.as_ref()).into_owned(), paint)
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Paint::Plain)
    }
}

/// Rows under a head, each column as wide as its widest cell.
pub struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table of these columns.
    pub fn new(head: &[&'static str]) -> Self {
        Self {
            head: head.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; there is a cell for every column.
    pub fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        debug_assert_eq!(N, self.head.len());
        self.rows.push(cells.into());
    }

    /// Prints it, each line after `indent` blanks.
    pub fn print(&self, out: &mut Out, indent: usize) -> std::io::Result<()> {
        let widths: Vec<usize> = (0..self.head.len())
            .map(|i| {
                let cells = self.rows.iter().map(|row| row[i].0.chars().count());
                cells.max().unwrap_or(0).max(self.head[i].len())
            })
            .collect();
        let head = self.head.iter().map(|name| (*name, Paint::Dim));
        print_line(out, indent, &widths, head)?;
        for row in &self.rows {
            let cells = row.iter().map(|cell| (cell.0.as_str(), cell.1));
            print_line(out, indent, &widths, cells)?;
        }
        Ok(())
    }
}

fn print_line<'a>(
    out: &mut Out,
    indent: usize,
    widths: &[usize],
    cells: impl Iterator<Item = (&'a str, Paint)>,
) -> std::io::Result<()> {
    let mut line = " ".repeat(indent);
    let mut gap = 0;
    for ((text, paint), width) in cells.zip(widths) {
        line.extend(std::iter::repeat_n(' ', gap));
        line.push_str(&out.paint(paint, text));
        // Blanks follow a cell only where another cell does.
        gap = width - text.chars().count() + 2;
    }
    out.line(line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_cannot_command_the_terminal() {
        let mut table = Table::new(&["NAME"]);
        table.row(["a\u{1b}[2J\nb".into()]);
        let (mut out, buffer) = Out::buffer(false);
        table.print(&mut out, 0).unwrap();
        out.field("x", Paint::Plain, "a\u{1b}b").unwrap();
        out.done("a\u{9b}b").unwrap();
        drop(out);
        let text = buffer.text();
        assert!(
            !text.replace('\n', "").contains(char::is_control),
            "{text:?}"
        );
        assert_eq!(text.lines().count(), 4);
    }

    #[test]
    fn columns_are_aligned_without_blanks_at_the_end() {
        let mut table = Table::new(&["NAME", "X"]);
        table.row(["a".into(), "1".into()]);
        table.row(["länger".into(), "".into()]);
        let (mut out, buffer) = Out::buffer(false);
        table.print(&mut out, 2).unwrap();
        drop(out);
        assert_eq!(buffer.text(), "  NAME    X\n  a       1\n  länger\n");
    }
}
