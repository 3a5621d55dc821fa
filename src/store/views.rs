//! The views that people query. They hold no rows, so they are no steps of the schema: after a step all of them are
//! made anew as this build has them, and something else that has the name of one is left alone.

/// A view: its name, and the script that makes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
}

/// The beginning of the remark that each view of ours carries, by which it is known again.
pub(super) const MARK: &str = "kalshi-ingest: ";

/// Embeds `sql/<dialect>/views/<name>.sql` of each view.
macro_rules! views {
    ($dialect:literal) => {
        $crate::store::views::views!($dialect:
            "trades",
            "markets",
            "orderbooks",
            "market_last_trade",
            "market_calibration",
            "candles_1m",
            "candles_1h",
        )
    };
    ($dialect:literal: $($name:literal),+ $(,)?) => {
        &[$($crate::store::views::View {
            name: $name,
            sql: include_str!(concat!("../../../sql/", $dialect, "/views/", $name, ".sql")),
        }),+]
    };
}
pub(super) use views;

/// The holder of the name of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    Nobody,
    Ours,
    Foreign,
}

impl Holder {
    /// Whether the view is to be made. `anew`: also where it exists.
    pub(super) fn is_to_be_made(self, anew: bool) -> bool {
        match self {
            Holder::Nobody => true,
            Holder::Ours => anew,
            Holder::Foreign => false,
        }
    }
}

/// Warns that a view cannot be made.
pub(super) fn warn_of(foreign: &str) {
    log::warn!(
        "the view {foreign} was not made, because something else in the database has this name; rename that and run \
         `kalshi-ingest migrate`"
    );
}
