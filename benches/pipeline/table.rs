//! The table of figures, as Markdown, printed row by row.

/// The value that a figure should have.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// The figure explains others.
    None,
}

/// The rows so far.
pub(crate) struct Table {
    reached: usize,
    missed: Vec<String>,
}

impl Table {
    /// Prints the head.
    pub(crate) fn begin() -> Table {
        println!("| figure | median | least – most | goal | reached |");
        println!("| --- | ---: | ---: | ---: | --- |");
        Table { reached: 0, missed: Vec::new() }
    }

    /// Prints one row: the median of the figures, and their spread.
    pub(crate) fn row(&mut self, name: &str, unit: &str, goal: Goal, mut figures: Vec<f64>) {
        figures.sort_by(f64::total_cmp);
        let median = figures[figures.len() / 2];
        let (least, most) = (figures[0], figures[figures.len() - 1]);
        let (goal, is_reached) = match goal {
            Goal::AtLeast(goal) => (format!("≥ {goal}{unit}"), Some(goal <= median)),
            Goal::AtMost(goal) => (format!("≤ {goal}{unit}"), Some(median <= goal)),
            Goal::None => (String::new(), None),
        };
        let word = match is_reached {
            Some(true) => "yes",
            Some(false) => "no",
            None => "",
        };
        let [median, least, most] = [median, least, most].map(short);
        println!("| {name} | {median}{unit} | {least} – {most} | {goal} | {word} |");
        match is_reached {
            Some(true) => self.reached += 1,
            Some(false) => self.missed.push(name.to_owned()),
            None => {}
        }
    }

    /// The number of goals that were reached, and the names of the others.
    pub(crate) fn summary(&self) -> String {
        let total = self.reached + self.missed.len();
        let reached = format!("{} of {total} goals were reached.", self.reached);
        if self.missed.is_empty() {
            return reached;
        }
        format!("{reached} Missed:\n\n* {}", self.missed.join("\n* "))
    }
}

/// Three digits that count.
fn short(figure: f64) -> String {
    match figure {
        ..1.0 => format!("{figure:.3}"),
        ..10.0 => format!("{figure:.2}"),
        ..100.0 => format!("{figure:.1}"),
        _ => format!("{figure:.0}"),
    }
}

/// The figures of all rounds.
pub(crate) fn each<T>(rounds: &[T], figure: impl Fn(&T) -> f64) -> Vec<f64> {
    rounds.iter().map(figure).collect()
}

/// A count as a figure.
pub(crate) fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}
