//! The values of exported rows, borrowed from the row of either database.

use postgres::types::{FromSql, Type};

use super::rows::Row;
use crate::domain::export::{COLUMNS_MAX, Cell, Column, Kind};
use crate::domain::time::Timestamp;

type Unreadable = Box<dyn std::error::Error + Send + Sync>;

/// Reads the columns of a row, in order. The error is the name of a damaged column.
pub(super) fn cells<'r, 'c>(
    row: Row<'r>,
    columns: &'static [Column],
    cells: &'c mut [Cell<'r>; COLUMNS_MAX],
) -> Result<&'c [Cell<'r>], &'static str> {
    for (at, column) in columns.iter().enumerate() {
        let cell = match row {
            Row::Postgres(row) => of_postgres(row, at, column.kind),
            Row::Sqlite(row) => of_sqlite(row, at, column.kind),
        };
        cells[at] = cell.map_err(|_| column.name)?;
    }
    Ok(&cells[..columns.len()])
}

fn of_postgres(row: &postgres::Row, at: usize, kind: Kind) -> Result<Cell<'_>, Unreadable> {
    Ok(match kind {
        Kind::Text => Cell::Text(row.try_get(at)?),
        Kind::Bool => Cell::Bool(row.try_get(at)?),
        Kind::Integer => Cell::Number(row.try_get(at)?),
        Kind::Instant => {
            Cell::Instant(row.try_get::<_, Option<_>>(at)?.map(Timestamp::from_chrono))
        }
        Kind::Decimal(_, scale) => match row.try_get::<_, Option<Numeric>>(at)? {
            Some(numeric) => Cell::Number(Some(numeric.scaled(scale).ok_or("it is no number")?)),
            None => Cell::Number(None),
        },
    })
}

fn of_sqlite<'r>(
    row: &'r rusqlite::Row<'_>,
    at: usize,
    kind: Kind,
) -> Result<Cell<'r>, Unreadable> {
    let value = row.get_ref(at)?;
    Ok(match kind {
        Kind::Text => Cell::Text(value.as_str_or_null()?),
        Kind::Bool => Cell::Bool(value.as_i64_or_null()?.map(|number| number != 0)),
        Kind::Integer | Kind::Decimal(..) => Cell::Number(value.as_i64_or_null()?),
        Kind::Instant => match value.as_str_or_null()? {
            Some(text) => {
                Cell::Instant(Some(Timestamp::parse_rfc3339(text).ok_or("it is no time")?))
            }
            None => Cell::Instant(None),
        },
    })
}

/// A decimal number of PostgreSQL: digits to the base 10,000, as the server sends them.
struct Numeric<'r>(&'r [u8]);

/// The bytes before the digits: their number, the place of the first one, the sign and the decimals.
const HEAD: usize = 8;
/// The sign of a negative number. Other signs than this and zero are no numbers.
const NEGATIVE: u16 = 0x4000;

impl<'r> FromSql<'r> for Numeric<'r> {
    fn from_sql(_: &Type, raw: &'r [u8]) -> Result<Numeric<'r>, Unreadable> {
        if raw.len() < HEAD { Err("it is too short".into()) } else { Ok(Numeric(raw)) }
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::NUMERIC
    }
}

impl Numeric<'_> {
    /// The number in units of its last digit, `scale` digits after the point; `None` if it does not fit.
    fn scaled(&self, scale: u8) -> Option<i64> {
        let part = |at: usize| Some([*self.0.get(at)?, *self.0.get(at + 1)?]);
        let first_place = i32::from(i16::from_be_bytes(part(2)?));
        let sign = u16::from_be_bytes(part(4)?);
        if sign != 0 && sign != NEGATIVE {
            return None;
        }
        let (mut sum, mut place) = (0_i128, first_place * 4 + i32::from(scale));
        for digit in self.0[HEAD..].chunks_exact(2) {
            let digit = i128::from(u16::from_be_bytes([digit[0], digit[1]]));
            let value = if let Ok(zeros) = u32::try_from(place) {
                digit.checked_mul(10_i128.checked_pow(zeros)?)?
            } else {
                let unit = 10_i128.checked_pow(place.unsigned_abs())?;
                if digit % unit != 0 {
                    return None;
                }
                digit / unit
            };
            sum = sum.checked_add(value)?;
            place -= 4;
        }
        i64::try_from(if sign == NEGATIVE { -sum } else { sum }).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(first_place: i16, is_negative: bool, digits: &[u16]) -> Vec<u8> {
        let sign = if is_negative { NEGATIVE } else { 0 };
        let count = u16::try_from(digits.len()).unwrap();
        let mut raw = count.to_be_bytes().to_vec();
        raw.extend(first_place.to_be_bytes());
        raw.extend(sign.to_be_bytes());
        raw.extend([0, 4]);
        raw.extend(digits.iter().flat_map(|digit| digit.to_be_bytes()));
        raw
    }

    #[test]
    fn decimals_of_the_server_are_read_exactly_or_not_at_all() {
        for (first_place, is_negative, digits, scale, expected, why) in [
            (0, false, &[38][..], 4, Some(380_000), "38 cents"),
            (0, false, &[38, 1], 4, Some(380_001), "38.0001"),
            (-1, false, &[5_000], 4, Some(5_000), "0.5"),
            (0, false, &[], 4, Some(0), "zero has no digits"),
            (0, false, &[12, 6_100], 2, Some(1_261), "12.61"),
            (1, false, &[3, 5, 100], 2, Some(3_000_501), "30005.01"),
            (0, true, &[1, 2_500], 4, Some(-12_500), "-1.25"),
            (-1, false, &[1_234, 5_678, 9_000], 9, Some(123_456_789), "nine decimals"),
            (0, false, &[12, 6_150], 2, None, "more decimals than the column has"),
            (9, false, &[1], 2, None, "too large"),
            (
                4,
                true,
                &[9, 2_233, 7_203, 6_854, 7_758, 800],
                2,
                Some(i64::MIN),
                "the least there is",
            ),
            (4, false, &[9, 2_233, 7_203, 6_854, 7_758, 800], 2, None, "one above the most"),
        ] {
            let raw = numeric(first_place, is_negative, digits);
            let read = Numeric::from_sql(&Type::NUMERIC, &raw).unwrap();
            assert_eq!(read.scaled(scale), expected, "{why}");
        }
        let mut nan = numeric(0, false, &[]);
        nan[4] = 0xc0;
        assert_eq!(Numeric::from_sql(&Type::NUMERIC, &nan).unwrap().scaled(2), None);
        assert!(Numeric::from_sql(&Type::NUMERIC, &[0; 7]).is_err());
    }
}
