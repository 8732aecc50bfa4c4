//! The command line.

use std::path::PathBuf;

/// What the command line says.
#[derive(Clone, Debug)]
pub struct Options {
    /// The database.
    pub db: PathBuf,
    /// The orders; `None` for generated ones.
    pub orders: Option<PathBuf>,
    /// The bank's file.
    pub bank: PathBuf,
    /// How many orders to generate.
    pub count: Option<u64>,
    /// Percent of payments declined.
    pub decline: u64,
    /// Percent of labels refused.
    pub label_refused: u64,
    /// Percent of calls that fail at first.
    pub flaky: u64,
    /// The seed of all trouble.
    pub seed: u64,
    /// How long each call takes.
    pub delay_ms: u64,
    /// Whether the last line is JSON.
    pub json: bool,
}

/// The help text.
pub const HELP: &str = "\
A small shop: orders are paid, shipped, and undone when something fails.

  order [OPTIONS]

  --db FILE            the database                    (default: saga-order/orders.db in the folder for temporary files)
  --bank FILE          what bank and carrier remember  (default: beside the database, with `.bank`)
  --orders FILE        one order a line, as JSON       (default: the 1,000 orders that come with the example)
  --count N            generate N orders instead
  --decline P          percent of payments declined    (default: 4)
  --label-refused P    percent of labels refused       (default: 3)
  --flaky P            percent of calls whose answer is lost, or that fail at first (default: 10)
  --seed S             which orders meet with trouble  (default: 1)
  --delay-ms N         how long each call takes        (default: 0)
  --json               the last line is one JSON object
  --help               this text

Interrupt it at any moment and start it again on the same files: it goes on where it was.
Exit code: 0 all is well, 1 an order is not settled or the books do not balance, 2 wrong usage,
3 all is well but for malformed lines in the order file.";

impl Options {
    /// Reads the arguments; `Ok(None)` asks for help.
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let folder = std::env::temp_dir().join("saga-order");
        let mut options = Self {
            db: folder.join("orders.db"),
            orders: None,
            bank: PathBuf::new(),
            count: None,
            decline: 4,
            label_refused: 3,
            flaky: 10,
            seed: 1,
            delay_ms: 0,
            json: false,
        };
        let mut bank = None;
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("`{arg}` needs a value"));
            match arg.as_str() {
                "--db" => options.db = value()?.into(),
                "--bank" => bank = Some(PathBuf::from(value()?)),
                "--orders" => options.orders = Some(value()?.into()),
                "--count" => options.count = Some(number(&arg, &value()?)?),
                "--decline" => options.decline = percent(&arg, &value()?)?,
                "--label-refused" => options.label_refused = percent(&arg, &value()?)?,
                "--flaky" => options.flaky = percent(&arg, &value()?)?,
                "--seed" => options.seed = number(&arg, &value()?)?,
                "--delay-ms" => options.delay_ms = number(&arg, &value()?)?,
                "--json" => options.json = true,
                "--help" | "-h" => return Ok(None),
                _ => return Err(format!("unknown option `{arg}`")),
            }
        }
        if options.orders.is_some() && options.count.is_some() {
            return Err("`--orders` and `--count` exclude each other".to_owned());
        }
        options.bank = bank.unwrap_or_else(|| {
            let mut name = options.db.file_name().unwrap_or_default().to_owned();
            name.push(".bank");
            options.db.with_file_name(name)
        });
        if options.bank == options.db {
            return Err("`--db` and `--bank` are two files".to_owned());
        }
        Ok(Some(options))
    }
}

fn number(option: &str, text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{option}` takes a whole number, not `{text}`"))
}

fn percent(option: &str, text: &str) -> Result<u64, String> {
    match number(option, text)? {
        percent @ 0..=100 => Ok(percent),
        _ => Err(format!("`{option}` takes a percentage from 0 to 100, not `{text}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &str) -> Result<Option<Options>, String> {
        Options::parse(args.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_bank_lives_beside_the_database() {
        let options = parse("--db shop/a.db --flaky 30").unwrap().unwrap();
        assert_eq!(options.bank, PathBuf::from("shop/a.db.bank"));
        assert_eq!(options.flaky, 30);
    }

    #[test]
    fn wrong_usage_is_named() {
        assert_eq!(
            parse("--flaky 101").unwrap_err(),
            "`--flaky` takes a percentage from 0 to 100, not `101`"
        );
        assert_eq!(parse("--count").unwrap_err(), "`--count` needs a value");
        assert_eq!(parse("--cuont 1").unwrap_err(), "unknown option `--cuont`");
        assert_eq!(parse("--db x --bank x").unwrap_err(), "`--db` and `--bank` are two files");
        assert_eq!(parse("--count 1 --orders x").unwrap_err(), "`--orders` and `--count` exclude each other");
    }
}
