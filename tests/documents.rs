//! Documents name rules and tests. Here they are held to what there is.

#![allow(missing_docs)]

#[cfg(feature = "postgres")]
#[path = "../saga-postgres/tests/support/mod.rs"]
mod postgres;
#[path = "support/sources.rs"]
mod sources;

use std::collections::{BTreeMap, BTreeSet};

use sources::{Function, files, functions, read, root};

const RULES: &str = "docs/rules.md";
/// The copy that the documentation of the crate includes. A crate cannot include a file outside of its folder.
const RULES_OF_CORE: &str = "saga-core/rules.md";
/// Set it to have the tests of each rule written into the document.
const UPDATE: &str = "SAGA_UPDATE";
/// What begins the line with the tests of a rule.
const TESTS: &str = "Tests: ";

/// The number of the rule that a function is named after.
fn rule_of(function: &Function) -> Option<u32> {
    let (digits, rest) = function.name.strip_prefix('r')?.split_at_checked(2)?;
    rest.starts_with('_').then(|| digits.parse().ok())?
}

/// Which tests each rule has, as the document lists them.
fn tests_of_rules() -> BTreeMap<u32, Vec<String>> {
    let mut tests: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for function in functions() {
        if let Some(rule) = rule_of(&function) {
            tests.entry(rule).or_default().push(format!("`{}::{}`", function.file, function.name));
        }
    }
    tests
}

/// The document with the tests of each rule at the end of its section.
fn with_tests(document: &str) -> String {
    let tests = tests_of_rules();
    let anchor = |line: &&str| line.starts_with("<a id=");
    let document: String =
        document.lines().filter(|line| !anchor(line)).flat_map(|line| [line, "\n"]).collect();
    let mut sections = document.split("\n## R");
    let mut written = sections.next().unwrap_or_default().trim_end().to_owned();
    for section in sections {
        let number: u32 =
            section.split(' ').next().unwrap_or_default().parse().expect("a heading has a number");
        let text = section.split(&format!("\n{TESTS}")).next().unwrap_or_default().trim_end();
        let listed = tests.get(&number).map_or(String::new(), |tests| tests.join(", "));
        // The anchor is short, so that rustdoc can link to it.
        written.push_str(&format!("\n\n<a id=\"r{number}\"></a>\n\n## R{text}\n\n{TESTS}{listed}"));
    }
    written + "\n"
}

/// The numbers of the rules.
fn rules() -> impl Iterator<Item = u32> {
    1..=38
}

#[test]
fn each_rule_has_tests_and_each_test_of_a_rule_is_listed() {
    let document = read(RULES);
    let written = with_tests(&document);
    if std::env::var_os(UPDATE).is_some() {
        for copy in [RULES, RULES_OF_CORE] {
            std::fs::write(root().join(copy), &written).expect("the document is written");
        }
        return;
    }
    assert!(written == read(RULES_OF_CORE), "{RULES_OF_CORE} is no copy: run this test with {UPDATE}=1");
    assert!(document == written, "{RULES} lists other tests than there are: run this test with {UPDATE}=1");
    let headings: Vec<u32> = document
        .lines()
        .filter_map(|line| line.strip_prefix("## R")?.split(' ').next()?.parse().ok())
        .collect();
    assert!(headings.iter().copied().eq(rules()), "{headings:?}");
    let tests = tests_of_rules();
    for rule in &headings {
        assert!(tests.contains_key(rule), "no test is named after rule R{rule}");
    }
    for rule in tests.keys() {
        assert!(headings.contains(rule), "tests are named after a rule R{rule} that is not there");
    }
}

#[test]
fn every_rule_that_the_sources_cite_is_there() {
    let known: BTreeSet<u32> = rules().collect();
    for folder in [
        "src",
        "saga-cli/src",
        "saga-core/src",
        "saga-dashboard/src",
        "saga-macros/src",
        "saga-postgres/src",
        "saga-sqlite/src",
        "docs",
    ] {
        for path in files(folder, "rs").into_iter().chain(files(folder, "md")) {
            let text = read(&path);
            let text = text.replace("[R", "R");
            for cited in text.split("rule R").skip(1).chain(text.split("rules R").skip(1)) {
                let number = first_number(cited);
                assert!(known.contains(&number), "{}: rule R{number}", path.display());
            }
            for link in text.split("](").filter(|link| link.contains("::rules#r")) {
                let anchor = link.split("::rules#r").nth(1).map_or(0, first_number);
                assert!(known.contains(&anchor), "{}: the link {link}", path.display());
            }
        }
    }
}

fn first_number(text: &str) -> u32 {
    text.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)
}

/// What stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_test_that_a_page_names_is_there() {
    let known: BTreeSet<String> =
        functions().into_iter().map(|function| format!("{}::{}", function.file, function.name)).collect();
    let mut named = 0;
    for page in ["src/docs/guarantees.md", "src/docs/what_happens_if.md"] {
        for name in quoted(&read(page)) {
            let is_test = name.split_once("::").is_some_and(|(file, function)| {
                let lower = |text: &str| {
                    text.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit())
                };
                lower(file) && lower(function) && function.contains('_')
            });
            if is_test {
                // Laws of stores lie in several files of one folder.
                let found = known.contains(name)
                    || name
                        .strip_prefix("conformance::")
                        .is_some_and(|law| known.iter().any(|known| known.ends_with(&format!("::{law}"))));
                assert!(found, "{page} names the test `{name}`, which is not there");
                named += 1;
            }
        }
    }
    assert!(named > 100, "only {named} tests are named");
}

#[test]
fn every_link_of_a_document_leads_to_a_file() {
    let mut documents = files("docs", "md");
    documents.extend(["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "examples/README.md"].map(Into::into));
    for document in documents {
        let text = read(&document);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") || path.contains("::") {
                continue;
            }
            let there = root().join(&document).parent().expect("it is in a folder").join(path);
            assert!(there.exists(), "{} links to {path}, which is not there", document.display());
        }
    }
}

#[test]
fn every_decision_stands_in_the_index() {
    let index = read("docs/decisions/README.md");
    for path in files("docs/decisions", "md") {
        let name = path.file_name().expect("it has a name").to_string_lossy().into_owned();
        let text = read(&path);
        if name == "README.md" {
            continue;
        }
        assert!(index.contains(&format!("({name})")), "{name} is not in the index");
        for part in ["## Context", "## Decision", "## Price"] {
            assert!(text.contains(part), "{name} has no {part}");
        }
    }
}

/// Each line of the code map names a file or a folder, below the crate that its heading names.
#[test]
fn the_code_map_names_every_file() {
    let map = read("ARCHITECTURE.md");
    let map = map.split("## Code map").nth(1).expect("there is a code map");
    let (mut source, mut named) = (String::new(), BTreeSet::new());
    for line in map.lines().take_while(|line| !line.starts_with("## ")) {
        if let Some(heading) = line.strip_prefix("### ") {
            let name = heading.split(':').next().unwrap_or_default();
            source = if name.starts_with("saga-rs") { "src".to_owned() } else { format!("{name}/src") };
        } else if let Some(path) = line.strip_prefix("- `").and_then(|rest| rest.split('`').next()) {
            let path = format!("{source}/{path}");
            assert!(root().join(&path).exists(), "the code map names {path}, which is not there");
            named.insert(path);
        }
    }
    for crate_ in [
        "saga-cli",
        "saga-core",
        "saga-dashboard",
        "saga-macros",
        "saga-postgres",
        "saga-sqlite",
        "saga-stored",
    ] {
        for path in files(&format!("{crate_}/src"), "rs") {
            let text = path.to_string_lossy().into_owned();
            let is_named = named.contains(&text)
                || named.iter().any(|folder| folder.ends_with('/') && text.starts_with(folder));
            let is_left_out = text.ends_with("/tests.rs") || text.ends_with("/properties.rs");
            // With re-exports only.
            let re_exports = text.ends_with("mod.rs") || text.ends_with("lib.rs");
            assert!(is_named || is_left_out || re_exports, "the code map leaves out {text}");
        }
    }
}

/// The tables and columns that a document lists: sections `## saga_..`, and rows that begin with a name in backquotes.
fn documented_columns(document: &str) -> BTreeMap<String, Vec<String>> {
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut table = None;
    for line in document.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            let name = heading.trim_matches('`').to_owned();
            table = name.starts_with("saga_").then_some(name);
        } else if let (Some(table), Some(rest)) = (&table, line.strip_prefix("| `")) {
            let column = rest.split('`').next().unwrap_or_default().to_owned();
            tables.entry(table.clone()).or_default().push(column);
        }
    }
    tables
}

#[test]
fn the_format_lists_every_table_and_column() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("saga.db");
    drop(saga::SqliteStore::open(&path).unwrap());
    let db = rusqlite::Connection::open(&path).unwrap();
    let sql = "SELECT t.name, c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
        WHERE t.type = 'table' AND t.name LIKE 'saga_%' ORDER BY t.name, c.cid";
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut statement = db.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    for row in rows {
        let (table, column): (String, String) = row.unwrap();
        found.entry(table).or_default().push(column);
    }
    assert_eq!(documented_columns(&read("docs/format.md")), found);
}

#[cfg(feature = "postgres")]
#[test]
fn the_format_in_postgres_lists_every_table_and_column() {
    let Some(schema) = postgres::Schema::new() else { return };
    drop(schema.open(schema.options()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let found = runtime.block_on(async {
        let sql = "SELECT table_name, column_name FROM information_schema.columns c JOIN information_schema.tables t
            USING (table_schema, table_name) WHERE table_schema = $1 AND table_type = 'BASE TABLE' ORDER BY ordinal_position";
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in schema.client().await.query(sql, &[&schema.name]).await.unwrap() {
            found.entry(row.get::<_, String>(0)).or_default().push(row.get(1));
        }
        found
    });
    assert_eq!(documented_columns(&read("docs/postgres.md")), found);
}

/// Words that the glossary has retired do not come back. Earlier files and migrations keep theirs.
#[test]
fn retired_words_are_not_used() {
    let glossary = read("src/docs/glossary.md");
    let retired = glossary.lines().find_map(|line| line.strip_prefix("These words are not used any more: "));
    let retired: Vec<String> =
        quoted(retired.expect("the glossary retires words")).map(str::to_owned).collect();
    assert!(!retired.is_empty());
    let mut texts = vec!["README.md".into(), "ARCHITECTURE.md".into()];
    for folder in [
        "src",
        "docs",
        "saga-cli/src",
        "saga-core/src",
        "saga-dashboard/src",
        "saga-macros/src",
        "saga-sqlite/src",
    ] {
        texts.extend(files(folder, "rs").into_iter().chain(files(folder, "md")));
    }
    for path in texts {
        // The format names columns of earlier schemas.
        if path.ends_with("glossary.md") || path.ends_with("format.md") {
            continue;
        }
        let text = read(&path).to_lowercase();
        let words: BTreeSet<&str> = text.split(|c: char| !c.is_alphabetic()).collect();
        for word in &retired {
            assert!(!words.contains(word.as_str()), "{} has the retired word `{word}`", path.display());
        }
    }
}
