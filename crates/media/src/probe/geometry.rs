//! How large a picture is on a screen: pixels need not be square, and phones store pictures lying on their side.

use super::raw::RawStream;

/// Pixels more than so many times as wide as high (or the reverse) are a mistake, not a wish.
const PIXEL_ASPECT_MAX: f64 = 8.0;

/// Width and height with square pixels and after rotation; both at least 1.
pub(super) fn as_shown(stream: &RawStream) -> (u32, u32) {
    let aspect = stream.pixel_aspect().map_or(1.0, ratio);
    let aspect = if (1.0 / PIXEL_ASPECT_MAX..=PIXEL_ASPECT_MAX).contains(&aspect) {
        aspect
    } else {
        1.0
    };
    let (width, height) = (stretched(stream.width, aspect), stream.height.max(1));
    if is_on_its_side(stream.rotation()) {
        (height, width)
    } else {
        (width, height)
    }
}

#[expect(clippy::cast_precision_loss, reason = "both parts fit 32 bits")]
fn ratio(fraction: crate::Rational) -> f64 {
    fraction.num as f64 / fraction.den as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positive, and saturates if absurd"
)]
fn stretched(width: u32, aspect: f64) -> u32 {
    ((f64::from(width) * aspect).round() as u32).max(1)
}

/// ffmpeg's decoder turns pictures by quarters if the angle is within a degree of one.
fn is_on_its_side(degrees: f64) -> bool {
    let turned = degrees.rem_euclid(180.0);
    (turned - 90.0).abs() < 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(json: &str) -> (u32, u32) {
        as_shown(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn pixels_are_made_square_before_the_picture_is_turned() {
        assert_eq!(
            shown(r#"{"width":720,"height":576,"sample_aspect_ratio":"64:45"}"#),
            (1024, 576)
        );
        assert_eq!(
            shown(r#"{"width":1920,"height":1080,"side_data_list":[{"rotation":-90}]}"#),
            (1080, 1920)
        );
        assert_eq!(
            shown(r#"{"width":1920,"height":1080,"side_data_list":[{},{"rotation":180}]}"#),
            (1920, 1080)
        );
        let both = r#"{"width":100,"height":100,"sample_aspect_ratio":"2:1","side_data_list":[{"rotation":90}]}"#;
        assert_eq!(shown(both), (100, 200));
    }

    #[test]
    fn absurd_pixels_are_taken_as_square() {
        for aspect in ["0:1", "N/A", "1:0", "4294967295:1", "1:1000"] {
            let json = format!(r#"{{"width":320,"height":180,"sample_aspect_ratio":"{aspect}"}}"#);
            assert_eq!(shown(&json), (320, 180), "{aspect}");
        }
    }
}
