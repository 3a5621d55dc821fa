//! The exchange's clock: the machine's plus an offset, or frozen by a test.

use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Clone, Copy, Debug)]
pub(crate) enum ExchangeClock {
    Running { offset_us: i64 },
    Frozen { now_us: i64 },
}

impl ExchangeClock {
    pub(crate) fn now_us(self) -> i64 {
        match self {
            ExchangeClock::Running { offset_us } => machine_now_us() + offset_us,
            ExchangeClock::Frozen { now_us } => now_us,
        }
    }

    pub(crate) fn advance(&mut self, us: i64) {
        match self {
            ExchangeClock::Running { offset_us } => *offset_us += us,
            ExchangeClock::Frozen { now_us } => *now_us += us,
        }
    }
}

fn machine_now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_micros()).expect("a clock before the year 290,000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_clock_is_shifted_and_a_frozen_one_moved() {
        let mut running = ExchangeClock::Running { offset_us: 0 };
        running.advance(-3_600_000_000);
        let behind_us = machine_now_us() - running.now_us();
        assert!((3_600_000_000 - 5_000_000..=3_600_000_000).contains(&behind_us), "{behind_us}");

        let mut frozen = ExchangeClock::Frozen { now_us: 5 };
        frozen.advance(7);
        assert_eq!(frozen.now_us(), 12);
    }
}
