//! Times in other units, rounded as ffmpeg rounds them.

use super::{Rational, TICKS_PER_SECOND};

/// Microseconds in a second.
const US_PER_SECOND: i64 = 1_000_000;
/// Ticks in a millisecond.
const TICKS_PER_MS: i64 = TICKS_PER_SECOND / 1000;

impl Rational {
    /// A time in this unit as ticks of 1/90000 s.
    #[must_use]
    pub fn to_ticks(self, time: i64) -> i64 {
        self.scaled(time, TICKS_PER_SECOND)
    }

    /// A time in this unit as microseconds.
    #[must_use]
    pub fn to_us(self, time: i64) -> i64 {
        self.scaled(time, US_PER_SECOND)
    }

    /// To the nearest, halves away from zero: what `av_rescale_q` does, so that a plan says what an encoder will do.
    /// Saturates.
    fn scaled(self, time: i64, per_second: i64) -> i64 {
        let (num, den) = (
            i128::from(self.num) * i128::from(per_second),
            i128::from(self.den.max(1)),
        );
        // Time bases have 32-bit parts, so a product of three factors fits.
        let product = i128::from(time).saturating_mul(num);
        let rounded = (product.abs().saturating_mul(2).saturating_add(den)) / (den * 2) * product.signum();
        i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX })
    }
}

/// Ticks as milliseconds, rounded down.
pub(crate) fn ticks_to_ms(ticks: i64) -> i64 {
    ticks / TICKS_PER_MS
}

/// Ticks as seconds.
#[expect(clippy::cast_precision_loss, reason = "exact up to centuries")]
pub(crate) fn ticks_to_seconds(ticks: i64) -> f64 {
    ticks as f64 / TICKS_PER_SECOND as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounded_to_the_nearest() {
        let ms = Rational { num: 1, den: 1000 };
        assert_eq!(ms.to_ticks(33), 2970);
        let ntsc = Rational { num: 1001, den: 30_000 };
        assert_eq!(
            (ntsc.to_ticks(1), ntsc.to_us(1), ntsc.to_us(-1)),
            (3003, 33_367, -33_367)
        );
        let fine = Rational { num: 1, den: 180_000 };
        assert_eq!((fine.to_ticks(1), fine.to_ticks(-1), fine.to_ticks(3)), (1, -1, 2));
    }

    #[test]
    fn absurd_times_saturate() {
        let wide = Rational {
            num: i64::from(u32::MAX),
            den: 1,
        };
        assert_eq!((wide.to_us(i64::MAX), wide.to_us(i64::MIN)), (i64::MAX, i64::MIN));
    }
}
