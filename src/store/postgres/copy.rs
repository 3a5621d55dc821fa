//! Rows as `COPY … (FORMAT BINARY)` takes them, encoded by hand: this is the fastest way into a table.
//!
//! The format is that of the PostgreSQL manual, "COPY", "Binary Format"; the fields are as each type's receive function
//! reads them.

use std::io::{self, Write as _};

use postgres::error::SqlState;
use postgres::{Client, CopyInWriter, Error};

use super::transaction::Transaction;
use crate::domain::time::Timestamp;
use crate::domain::trade::{RawEvent, Trade};
use crate::store::engine::TradeRow;

/// The signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Stands where a row would begin.
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();
/// The length of a null.
const NULL: [u8; 4] = (-1_i32).to_be_bytes();
/// The size of a message. The driver copies each one once more, and pays for each.
const MESSAGE_LEN: usize = 1 << 16;
/// 2000-01-01, where PostgreSQL's timestamps begin, in microseconds since 1970.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;
/// A digit of `numeric` is one of ten thousand.
const DIGIT: i64 = 10_000;

/// The end of a copy that the server did not refuse with an error of its own.
enum Copied {
    /// All rows are in the table.
    Whole,
    /// The rows could not be sent to the end.
    Broken,
}

/// Copies trades into a table. Returns whether they are stored: they are not if one of them was stored already.
pub(super) fn trades(
    transaction: &mut Transaction<'_>,
    target: &str,
    source: &str,
    rows: &[TradeRow<'_>],
) -> Result<bool, Error> {
    let sql = format!(
        "copy \"{target}\" (source, trade_id, market_ticker, side, price, quantity, traded_at, is_block_trade, run_id, \
         ingested_at) from stdin (format binary)"
    );
    copy_or_take_back(transaction, &sql, rows, |row, fields| {
        let TradeRow { trade, run, ingested_at } = row;
        let Trade { trade_id, market, side, price, quantity, traded_at, is_block_trade } = trade;
        fields.begin(10);
        fields.text(source);
        fields.text(trade_id);
        fields.text(market.as_str());
        fields.text(side.as_str());
        fields.decimal(i64::from(price.e4_cents()) / DIGIT, i64::from(price.e4_cents()) % DIGIT, 4);
        // Two decimals are the upper half of a digit.
        fields.decimal(quantity.e2() / 100, quantity.e2() % 100 * 100, 2);
        fields.instant(*traded_at);
        match is_block_trade {
            Some(is_block) => fields.value(&[u8::from(*is_block)]),
            None => fields.null(),
        }
        fields.value(&run.to_be_bytes());
        fields.instant(*ingested_at);
    })
}

/// Copies the raw events of new trades. Returns whether they are stored.
pub(super) fn events(
    transaction: &mut Transaction<'_>,
    run: i64,
    received_at: Timestamp,
    events: &[&RawEvent],
) -> Result<bool, Error> {
    let sql = "copy raw_kalshi_trade_events (run_id, received_at, market_ticker, trade_id, payload) \
               from stdin (format binary)";
    copy_or_take_back(transaction, sql, events, |event, fields| {
        fields.begin(5);
        fields.value(&run.to_be_bytes());
        fields.instant(received_at);
        fields.text(event.trade.market.as_str());
        fields.text(&event.trade.trade_id);
        fields.text(&event.payload);
    })
}

/// Copies rows inside a savepoint. A copy that meets a stored row leaves the transaction as it was before. After any
/// error the connection must not be used again: where the server refuses a copy before it takes rows, the driver hands
/// out each later answer as that to the next request (docs/upstream.md#postgres-a-refused-copy).
fn copy_or_take_back<R>(
    transaction: &mut Transaction<'_>,
    sql: &str,
    rows: &[R],
    encode: impl Fn(&R, &mut Fields),
) -> Result<bool, Error> {
    transaction.batch_execute("savepoint before_copy")?;
    match copy(transaction.client(), sql, rows, encode) {
        Ok(Copied::Whole) => return Ok(true),
        Ok(Copied::Broken) => {}
        Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {}
        Err(error) => return Err(error),
    }
    transaction.batch_execute("rollback to savepoint before_copy")?;
    Ok(false)
}

/// Sends the rows in messages of one size.
fn copy<R>(
    client: &mut Client,
    sql: &str,
    rows: &[R],
    encode: impl Fn(&R, &mut Fields),
) -> Result<Copied, Error> {
    let mut writer = client.copy_in(sql)?;
    let sent = send(&mut writer, rows, encode);
    match sent {
        Ok(()) => {
            writer.finish()?;
            Ok(Copied::Whole)
        }
        Err(error) => match error.downcast::<Error>() {
            Ok(error) => Err(error),
            Err(_) => Ok(Copied::Broken),
        },
    }
}

fn send<R>(
    writer: &mut CopyInWriter<'_>,
    rows: &[R],
    encode: impl Fn(&R, &mut Fields),
) -> io::Result<()> {
    let mut fields = Fields(Vec::with_capacity(MESSAGE_LEN + MESSAGE_LEN / 8));
    fields.0.extend_from_slice(HEADER);
    for row in rows {
        encode(row, &mut fields);
        if fields.0.len() >= MESSAGE_LEN {
            writer.write_all(&fields.0)?;
            fields.0.clear();
        }
    }
    fields.0.extend_from_slice(&TRAILER);
    writer.write_all(&fields.0)
}

/// The bytes of rows.
struct Fields(Vec<u8>);

impl Fields {
    /// Begins a row of so many fields.
    fn begin(&mut self, count: i16) {
        self.0.extend_from_slice(&count.to_be_bytes());
    }

    fn null(&mut self) {
        self.0.extend_from_slice(&NULL);
    }

    fn value(&mut self, bytes: &[u8]) {
        // No value of ours comes near two gigabytes; the server refuses a length that is not that of the bytes.
        let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &str) {
        self.value(text.as_bytes());
    }

    fn instant(&mut self, at: Timestamp) {
        self.value(&at.micros().saturating_sub(POSTGRES_EPOCH).to_be_bytes());
    }

    /// A `numeric` that is not negative: its whole part, and its fraction in ten-thousandths.
    fn decimal(&mut self, whole: i64, fraction: i64, scale: i16) {
        let mut digits = [0_i16; 6];
        let (mut first, mut rest) = (5, whole);
        digits[5] = digit(fraction);
        while rest > 0 {
            first -= 1;
            digits[first] = digit(rest % DIGIT);
            rest /= DIGIT;
        }
        let end = if fraction == 0 { 5 } else { 6 };
        // A number below one has no digit of weight 0, and zero has none at all.
        let used = &digits[first.min(end)..end];
        let count = i16::try_from(used.len()).unwrap_or(0);
        let weight = if used.is_empty() { 0 } else { 4 - i16::try_from(first).unwrap_or(0) };
        let length = 8 + 2 * i32::from(count);
        self.0.extend_from_slice(&length.to_be_bytes());
        for word in [count, weight, 0, scale] {
            self.0.extend_from_slice(&word.to_be_bytes());
        }
        for digit in used {
            self.0.extend_from_slice(&digit.to_be_bytes());
        }
    }
}

fn digit(value: i64) -> i16 {
    i16::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Fields;

    /// Count, weight, sign and scale, then the digits.
    fn words(whole: i64, fraction: i64, scale: i16) -> Vec<i16> {
        let mut fields = Fields(Vec::new());
        fields.decimal(whole, fraction, scale);
        let (length, words) = fields.0.split_at(4);
        assert_eq!(length, u32::try_from(words.len()).unwrap().to_be_bytes());
        words.chunks(2).map(|word| i16::from_be_bytes([word[0], word[1]])).collect()
    }

    #[test]
    fn decimals_have_the_digits_that_the_server_keeps() {
        for (whole, fraction, scale, wanted) in [
            (0, 0, 4, &[0, 0, 0, 4][..]),
            (0, 1, 4, &[1, -1, 0, 4, 1]),
            (100, 0, 4, &[1, 0, 0, 4, 100]),
            (56, 7_800, 4, &[2, 0, 0, 4, 56, 7_800]),
            (10_000, 0, 2, &[2, 1, 0, 2, 1, 0]),
            (9_999_999_999_999_999, 9_900, 2, &[5, 3, 0, 2, 9_999, 9_999, 9_999, 9_999, 9_900]),
        ] {
            assert_eq!(words(whole, fraction, scale), wanted, "{whole} {fraction}");
        }
    }
}
