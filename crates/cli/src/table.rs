//! Tables for people.

use crate::output::Output;

/// Prints rows below their titles, each column as wide as its widest cell.
pub(crate) fn print<const N: usize>(out: Output, titles: [&str; N], rows: &[[String; N]]) {
    let mut widths = titles.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    out.line(line(titles, widths));
    for row in rows {
        out.line(line(row.each_ref().map(String::as_str), widths));
    }
}

/// Prints names and values, without titles.
pub(crate) fn print_plain(out: Output, rows: &[[String; 2]]) {
    let width = rows
        .iter()
        .map(|[name, _]| name.chars().count())
        .max()
        .unwrap_or_default();
    for [name, value] in rows {
        out.line(line([name, value], [width, 0]));
    }
}

fn line<const N: usize>(cells: [&str; N], widths: [usize; N]) -> String {
    let padded: Vec<String> = cells
        .iter()
        .zip(widths)
        .map(|(cell, width)| format!("{cell:<width$}"))
        .collect();
    padded.join("  ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        assert_eq!(line(["a", "bc", ""], [3, 4, 5]), "a    bc");
    }
}
