//! The planted faults of `planted/` fit the code as it is: a patch that does not apply any more finds nothing.

use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use simulate::history::Profile;

/// What a patch expects to find: the lines of each of its hunks that are there before it.
fn expected(patch: &str) -> Vec<(PathBuf, String)> {
    let (mut hunks, mut file): (Vec<(PathBuf, String)>, _) = (Vec::new(), PathBuf::new());
    for line in patch.lines().skip_while(|line| !line.starts_with("diff ")) {
        if let Some(name) = line.strip_prefix("--- a/") {
            file = PathBuf::from(name);
        } else if line.starts_with("@@") {
            hunks.push((file.clone(), String::new()));
        } else if let Some((_, lines)) = hunks.last_mut()
            && !line.starts_with(['+', '\\'])
            && !line.starts_with("diff ")
            && !line.starts_with("index ")
            && !line.starts_with("---")
        {
            lines.push_str(line.get(1..).unwrap_or_default());
            lines.push('\n');
        }
    }
    hunks
}

/// The value of a line above a patch.
fn told<'a>(patch: &'a str, name: &str) -> Option<&'a str> {
    let head = patch.lines().take_while(|line| !line.starts_with("diff "));
    head.filter_map(|line| line.strip_prefix(name)).find_map(|rest| rest.strip_prefix(": "))
}

#[test]
fn every_planted_fault_still_applies_and_is_told_of() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.parent().unwrap();
    let told_of = fs::read_to_string(root.join("docs/reliability.md")).unwrap();
    let mut count = 0;
    for entry in fs::read_dir(here.join("planted")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "patch") {
            continue;
        }
        count += 1;
        let (name, planted) = (path.display(), fs::read_to_string(&path).unwrap());
        let profile = told(&planted, "profile").unwrap_or_else(|| panic!("{name}: no profile"));
        assert!(Profile::from_str(profile, false).is_ok(), "{name}: {profile} is no profile");
        let fault = told(&planted, "fault").unwrap_or_else(|| panic!("{name}: no fault"));
        assert!(told_of.contains(fault), "docs/reliability.md does not say {fault:?}");
        let hunks = expected(&planted);
        assert!(!hunks.is_empty(), "{name} changes nothing");
        for (file, lines) in hunks {
            let text = fs::read_to_string(root.join(&file)).unwrap();
            assert!(
                text.contains(&lines),
                "{name} finds no longer in {}:\n{lines}",
                file.display()
            );
        }
    }
    assert!(count >= 10, "{count} planted faults");
}
