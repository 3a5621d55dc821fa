//! The rules by which counted instructions are judged, and the file that records them.

#[path = "../../benches/instructions/record.rs"]
mod record;

use std::collections::BTreeSet;

use record::{Allowance, Entry, Record, allowance, judge, percent, renewed};

const ENTRY: Entry = Entry { recorded: 1_000, limit: 1_200 };

fn read(path: &str) -> String {
    std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn a_part_fails_at_more_than_its_allowance() {
    for (count, allowance, is_allowed) in [
        (500, Allowance::Same, true),
        (1_100, Allowance::Same, true),
        (1_101, Allowance::Same, false),
        (1_101, Allowance::Other, true),
        (1_200, Allowance::Any, true),
    ] {
        let judged = judge("seal", ENTRY, count, allowance);
        assert_eq!(judged.is_ok(), is_allowed, "{count} {allowance:?}: {judged:?}");
    }
    let roomy = Entry { limit: 9_000, ..ENTRY };
    assert!(judge("seal", roomy, 1_250, Allowance::Other).is_ok());
    let said = judge("seal", roomy, 1_251, Allowance::Other).unwrap_err();
    assert!(said.starts_with("seal takes 1251 instructions a unit, more than 25 %"), "{said}");
    assert!((percent(1_000, 1_250) - 25.0).abs() < 1e-9);
}

#[test]
fn no_allowance_exceeds_the_limit() {
    for allowance in [Allowance::Same, Allowance::Other, Allowance::Any] {
        let said = judge("seal", Entry { recorded: 1_190, ..ENTRY }, 1_201, allowance).unwrap_err();
        assert!(said.contains("its limit is 1200"), "{said}");
    }
}

#[test]
fn another_compiler_has_another_allowance() {
    assert_eq!(allowance("rustc 1 on x86_64", "rustc 1 on x86_64"), Allowance::Same);
    assert_eq!(allowance("rustc 1 on x86_64", "rustc 2 on x86_64"), Allowance::Other);
    assert_eq!(allowance("rustc 1 on x86_64", "rustc 1 on aarch64"), Allowance::Other);
}

#[test]
fn a_renewal_keeps_limits_and_comments() {
    let old = "# Why.\ncompiler = \"a\"\n\n[plan]\nrecorded = 1\nlimit = 5\n\n[seal]\nrecorded = 2\nlimit = 6\n";
    let new = renewed(old, "b", &[("seal", 4), ("plan", 3)]);
    let expected = old.replace("\"a\"", "\"b\"").replace("= 2", "= 4").replace("= 1", "= 3");
    assert_eq!(new, expected);
    assert_eq!(renewed(&new, "b", &[("seal", 4), ("plan", 3)]), new);
}

#[test]
fn the_file_has_each_part_and_no_record_above_its_limit() {
    let record = Record::read(&read("benches/instructions.toml"));
    let source = read("benches/instructions/main.rs");
    let table = source.split("const PARTS").nth(1).unwrap().split("];\n").next().unwrap();
    let parts: BTreeSet<&str> =
        table.split("(\"").skip(1).map(|row| row.split('"').next().unwrap()).collect();
    let recorded: BTreeSet<&str> = record.parts.keys().map(String::as_str).collect();
    assert_eq!(recorded, parts);
    assert!(record.compiler.starts_with("rustc "), "{}", record.compiler);
    for (name, Entry { recorded, limit }) in &record.parts {
        assert!(recorded <= limit, "{name}: {recorded} recorded, {limit} allowed");
        assert!(*limit <= recorded * 3 / 2, "{name}: a limit of {limit} limits nothing");
    }
}
