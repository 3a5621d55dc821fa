//! The parameters of a statement: values, and rows of them.

use std::borrow::Cow;

use crate::domain::scope::Scope;
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::domain::trade::Price;

/// One parameter. Its kind is known even when the value is null.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'v> {
    /// A text.
    Text(Option<Cow<'v, str>>),
    /// An integer of up to 64 bits.
    Int(Option<i64>),
    /// A floating-point number.
    Float(Option<f64>),
    /// A truth value.
    Bool(Option<bool>),
    /// A point in time, to the microsecond.
    Instant(Option<Timestamp>),
    /// A list of names: an array in PostgreSQL, JSON in SQLite.
    Names(Option<Vec<&'v str>>),
    /// A list of numbers: an array in PostgreSQL, JSON in SQLite.
    Numbers(Vec<i64>),
}

/// A count in the type of both databases. Counts beyond `i64` do not occur.
pub(super) fn integer(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

macro_rules! from {
    ($($from:ty => |$value:ident| $to:expr;)*) => {
        $(impl<'v> From<$from> for Value<'v> {
            fn from($value: $from) -> Value<'v> {
                $to
            }
        })*
    };
}

from! {
    &'v str => |words| Value::Text(Some(Cow::Borrowed(words)));
    &'v String => |words| Value::Text(Some(Cow::Borrowed(words)));
    String => |words| Value::Text(Some(Cow::Owned(words)));
    Cow<'v, str> => |words| Value::Text(Some(words));
    &'v Ticker => |ticker| Value::Text(Some(Cow::Borrowed(ticker.as_str())));
    Option<&'v str> => |words| Value::Text(words.map(Cow::Borrowed));
    Option<Cow<'v, str>> => |words| Value::Text(words);
    i64 => |number| Value::Int(Some(number));
    i32 => |number| Value::Int(Some(number.into()));
    u32 => |number| Value::Int(Some(number.into()));
    u8 => |number| Value::Int(Some(number.into()));
    u64 => |number| Value::Int(Some(integer(number)));
    usize => |number| Value::Int(Some(integer(number)));
    Option<i64> => |number| Value::Int(number);
    Option<i32> => |number| Value::Int(number.map(i64::from));
    Option<Price> => |price| Value::Int(price.map(|price| price.e4_cents().into()));
    f64 => |fraction| Value::Float(Some(fraction));
    Option<f64> => |fraction| Value::Float(fraction);
    bool => |is_so| Value::Bool(Some(is_so));
    Option<bool> => |is_so| Value::Bool(is_so);
    Timestamp => |instant| Value::Instant(Some(instant));
    Option<Timestamp> => |instant| Value::Instant(instant);
    &'v Scope => |scope| Value::Text(Some(Cow::Borrowed(scope.as_str())));
    &'v [Scope] => |scopes| Value::Names(Some(scopes.iter().map(Scope::as_str).collect()));
    &'v [Ticker] => |tickers| Value::Names(Some(tickers.iter().map(Ticker::as_str).collect()));
    &'v [String] => |names| Value::Names(Some(names.iter().map(String::as_str).collect()));
    &'v [Box<str>] => |names| Value::Names(Some(names.iter().map(|name| &**name).collect()));
    Option<&'v [Ticker]> => |tickers| {
        Value::Names(tickers.map(|tickers| tickers.iter().map(Ticker::as_str).collect()))
    };
    Vec<i64> => |numbers| Value::Numbers(numbers);
}

/// An array of values of any kinds, each made from an expression.
macro_rules! values {
    ($($value:expr),* $(,)?) => { [$($crate::store::value::Value::from($value)),*] };
}

pub(super) use values;

/// Rows of one width, for a statement that is executed for each of them.
#[derive(Clone, Debug)]
pub(super) struct Rows<'v> {
    width: usize,
    values: Vec<Value<'v>>,
}

impl<'v> Rows<'v> {
    /// Whether there is no row.
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The number of rows.
    pub(super) fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// The rows, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[Value<'v>]> {
        self.values.chunks(self.width)
    }

    /// The number of values in each row.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The values of one column.
    pub(super) fn column(&self, column: usize) -> impl Iterator<Item = &Value<'v>> {
        self.values.iter().skip(column).step_by(self.width)
    }
}

impl<'v, const N: usize> FromIterator<[Value<'v>; N]> for Rows<'v> {
    fn from_iter<T: IntoIterator<Item = [Value<'v>; N]>>(rows: T) -> Rows<'v> {
        Rows { width: N.max(1), values: rows.into_iter().flatten().collect() }
    }
}
