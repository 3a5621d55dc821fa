//! `docs/reference.md` is made from the definition of the command line, below its marker. What stands above the marker
//! is written by hand.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use clap::{Arg, ArgAction, Command, CommandFactory as _};
use kalshi_ingest::cli::Cli;

/// All below this line is made.
const MARKER: &str =
    "<!-- All below is made from src/cli by tests/it/reference.rs: change it there. -->\n";
/// Who sets this variable has the file written.
const UPDATE: &str = "UPDATE_REFERENCE";
/// A blank at which no line ends.
const UNBROKEN: &str = "\u{a0}";
/// How long a line of prose may be.
const WIDTH: usize = 120;

#[test]
fn the_reference_is_the_command_line_as_it_is_defined() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/reference.md");
    let found = fs::read_to_string(&path).unwrap();
    let (written, made) = found.split_once(MARKER).expect("docs/reference.md has the marker");
    let expected = rendered(&Cli::command());
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, format!("{written}{MARKER}{expected}")).unwrap();
        return;
    }
    let differs = made.lines().zip(expected.lines()).find(|(made, expected)| made != expected);
    assert!(
        made == expected,
        "docs/reference.md is not what src/cli says; have it written with\n\n    {UPDATE}=1 cargo test --test it -- \
         reference\n\nthe first difference: {differs:#?}"
    );
}

#[test]
fn a_flag_of_a_group_is_described_once_for_all_commands() {
    // Else the reference would show that of one command for all.
    let cli = Cli::command();
    for command in cli.get_subcommands() {
        for flag in command.get_arguments().filter(|flag| flag.get_help_heading().is_some()) {
            let heading = flag.get_help_heading().unwrap();
            let first =
                flags_of(&cli, heading).into_iter().find(|(one, _)| one.get_id() == flag.get_id());
            let (first, _) = first.unwrap();
            assert_eq!(row(first, None), row(flag, None), "{} says otherwise", command.get_name());
        }
    }
}

/// The made part of the page.
fn rendered(cli: &Command) -> String {
    let mut page = String::from("\n## Commands\n\n| command | |\n| --- | --- |\n");
    for command in cli.get_subcommands() {
        let name = command.get_name();
        let about = coded(&command.get_about().unwrap().to_string());
        writeln!(page, "| [`{name}`](#{name}) | {about} |").unwrap();
    }
    for command in cli.get_subcommands() {
        page += &section(cli, command);
    }
    page +=
        "\n## Flags of several commands\n\nA command takes the groups that its section names.\n";
    for heading in headings(cli) {
        let flags = flags_of(cli, heading);
        let most = flags.iter().map(|(_, commands)| commands.len()).max().unwrap();
        let rows: Vec<Row> = flags
            .iter()
            .map(|(flag, commands)| row(flag, (commands.len() < most).then_some(commands)))
            .collect();
        write!(page, "\n### {heading}\n\n{}", table(&rows)).unwrap();
    }
    page
}

/// One command: what it does, how it is called, its own flags, and whose it takes besides.
fn section(cli: &Command, command: &Command) -> String {
    let name = command.get_name();
    let about = command.get_long_about().or(command.get_about()).unwrap().to_string();
    let about: Vec<String> = paragraphs(&about).iter().map(|text| wrapped(text)).collect();
    let usage =
        command.clone().bin_name(format!("kalshi-ingest {name}")).render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let mut text = format!("\n### {name}\n\n{}\n\n```text\n{usage}\n```\n\n", about.join("\n\n"));
    let own: Vec<Row> = command
        .get_arguments()
        .filter(|flag| flag.get_help_heading().is_none())
        .map(|flag| row(flag, None))
        .collect();
    if !own.is_empty() {
        writeln!(text, "{}", table(&own)).unwrap();
    }
    let takes = |heading: &&str| {
        command.get_arguments().any(|flag| flag.get_help_heading() == Some(*heading))
    };
    let groups: Vec<String> = headings(cli)
        .into_iter()
        .filter(takes)
        .map(|heading| {
            let link = format!("[{heading}](#{})", heading.to_lowercase().replace(' ', "-"));
            link.replace(' ', UNBROKEN)
        })
        .collect();
    text + &wrapped(&format!("Shared flags: {}.", groups.join(", "))) + "\n"
}

/// The headings of the flags that several commands share, in the order of their first appearance.
fn headings(cli: &Command) -> Vec<&str> {
    let mut found = Vec::new();
    for flag in cli.get_subcommands().flat_map(Command::get_arguments) {
        found.extend(flag.get_help_heading().filter(|heading| !found.contains(heading)));
    }
    found
}

/// The flags below a heading, each with the commands that take it.
fn flags_of<'a>(cli: &'a Command, heading: &str) -> Vec<(&'a Arg, Vec<&'a str>)> {
    let mut found: Vec<(&Arg, Vec<&str>)> = Vec::new();
    for command in cli.get_subcommands() {
        for flag in command.get_arguments().filter(|f| f.get_help_heading() == Some(heading)) {
            match found.iter_mut().find(|(known, _)| known.get_id() == flag.get_id()) {
                Some((_, commands)) => commands.push(command.get_name()),
                None => found.push((flag, vec![command.get_name()])),
            }
        }
    }
    found
}

/// A row for each flag, without the columns that nobody fills.
fn table(rows: &[Row]) -> String {
    const NAMES: [&str; 4] = ["flag", "variable", "default", "meaning"];
    let columns: Vec<usize> =
        (0..NAMES.len()).filter(|column| rows.iter().any(|row| !row[*column].is_empty())).collect();
    let cell = |text: &str| if text.is_empty() { " |".to_owned() } else { format!(" {text} |") };
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        format!("|{}\n", cells.map(cell).collect::<String>())
    };
    let of = |row: &Row| line(&mut columns.iter().map(|column| row[*column].as_str()));
    let head = line(&mut columns.iter().map(|column| NAMES[*column]));
    let rule = line(&mut columns.iter().map(|_| "---"));
    head + &rule + &rows.iter().map(of).collect::<String>()
}

/// A flag: its spelling, its variable, its default and its meaning.
type Row = [String; 4];

/// The row of a flag; `of` are the commands that take it, where others of its group do not.
fn row(flag: &Arg, of: Option<&Vec<&str>>) -> Row {
    let help = flag.get_long_help().or(flag.get_help()).unwrap().to_string();
    let (help, told_default) = without_note(&help, "default");
    let (help, told_variable) = without_note(&help, "env");
    let default = match flag.get_default_values() {
        [] if flag.is_required_set() => "required".to_owned(),
        [] => told_default.map_or(String::new(), |told| coded(&told)),
        [value, ..] => format!("`{}`", value.to_string_lossy()),
    };
    let variable = flag.get_env().map(|name| name.to_string_lossy().into_owned());
    let variable = variable.or(told_variable).map_or(String::new(), |name| coded(&name));
    let mut meaning = paragraphs(&help).join(" ");
    if let Some(values) = values(flag) {
        write!(meaning, " {values}.").unwrap();
    }
    if let Some(commands) = of {
        write!(meaning, " Of {} only.", listed(commands)).unwrap();
    }
    [spelling(flag), variable, default, meaning].map(|cell| cell.replace('|', "\\|"))
}

/// `-v`, `--verbose`; `--sla SPAN`; `SHELL`.
fn spelling(flag: &Arg) -> String {
    let takes = matches!(flag.get_action(), ArgAction::Set | ArgAction::Append);
    let value = flag.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    let value = value.unwrap_or_else(|| flag.get_id().as_str().to_uppercase());
    let Some(long) = flag.get_long() else { return format!("`{value}`") };
    let short = flag.get_short().map_or(String::new(), |short| format!("`-{short}`, "));
    if takes { format!("{short}`--{long} {value}`") } else { format!("{short}`--{long}`") }
}

/// The values that are possible, with what each means where that is said.
fn values(flag: &Arg) -> Option<String> {
    if !matches!(flag.get_action(), ArgAction::Set | ArgAction::Append) {
        return None;
    }
    let described = |value: &clap::builder::PossibleValue| match value.get_help() {
        Some(help) => format!("`{}` ({})", value.get_name(), lower(&help.to_string())),
        None => format!("`{}`", value.get_name()),
    };
    let values: Vec<String> = flag.get_possible_values().iter().map(described).collect();
    (!values.is_empty()).then(|| format!("One of {}", values.join(", ")))
}

/// Takes `[default: …]` or `[env: …]` out of a help text, which clap cannot say of a value that depends.
fn without_note(help: &str, kind: &str) -> (String, Option<String>) {
    let Some((before, rest)) = help.split_once(&format!("[{kind}: ")) else {
        return (help.to_owned(), None);
    };
    let (note, after) = rest.split_once(']').expect("a note ends");
    (format!("{}{after}", before.trim_end()), Some(note.to_owned()))
}

/// Flags, variables and paths in code.
fn coded(text: &str) -> String {
    let is_code = |word: &str| {
        let is_flag =
            word.starts_with('-') && word.trim_start_matches('-').starts_with(char::is_alphabetic);
        let is_variable =
            word.contains('_') && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        let is_figure = word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('/');
        let is_url = ["/", "sqlite:", "postgres:"].iter().any(|start| word.starts_with(start));
        is_flag || is_variable || is_figure || is_url || word == "\\,"
    };
    let mark = |word: &str| {
        let core =
            if word == "\\," { word } else { word.trim_end_matches([',', '.', ';', ':', ')']) };
        let end = &word[core.len()..];
        if is_code(core) { format!("`{core}`{end}") } else { word.to_owned() }
    };
    // Every second part is in code already.
    let parts = text.split('`').enumerate().map(|(at, part)| match at % 2 {
        0 => part.split(' ').map(mark).collect::<Vec<_>>().join(" "),
        _ => format!("`{part}`"),
    });
    parts.collect()
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
}

fn listed(names: &[&str]) -> String {
    let (last, others) = names.split_last().unwrap();
    let coded = |name: &&str| format!("`{name}`");
    let others: Vec<String> = others.iter().map(coded).collect();
    if others.is_empty() {
        coded(last)
    } else {
        format!("{} and {}", others.join(", "), coded(last))
    }
}

/// Each paragraph on a line, ended like a sentence.
fn paragraphs(text: &str) -> Vec<String> {
    let sentence = |text: &str| {
        let text = coded(&text.split_whitespace().collect::<Vec<_>>().join(" "));
        if text.ends_with('.') { text } else { text + "." }
    };
    text.split("\n\n").map(sentence).collect()
}

fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().unwrap();
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n").replace(UNBROKEN, " ")
}
