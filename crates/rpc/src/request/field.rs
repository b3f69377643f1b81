//! Single fields.

use std::{cmp::Reverse, str::FromStr};

use reelway::v1;
use reelway_domain::{Failure, FieldViolation, IdError, Ladder, Timestamp, limits};
use uuid::Uuid;

use crate::convert::{ProtoEnum, ladder_from_proto};

/// The wrong fields of one request.
type Violations = Vec<FieldViolation>;

/// Says that a field is wrong, and what would be right.
#[must_use]
pub fn violation(field: &str, description: impl Into<String>) -> FieldViolation {
    FieldViolation {
        field: field.to_owned(),
        description: description.into(),
    }
}

/// Ends the parsing of a request.
///
/// # Errors
/// `FIELD_INVALID` with every violation, if there is one.
pub fn all_valid(violations: Violations) -> Result<(), Failure> {
    if violations.is_empty() {
        Ok(())
    } else {
        Err(Failure::invalid(violations))
    }
}

/// An id; `None` with a violation if it isn't one.
pub fn parse_id<I: FromStr<Err = IdError>>(field: &str, text: &str, violations: &mut Violations) -> Option<I> {
    text.parse()
        .map_err(|error: IdError| violations.push(violation(field, error.to_string())))
        .ok()
}

/// The id that is all that a request must name.
///
/// # Errors
/// `FIELD_INVALID` if it isn't one.
pub fn require_id<I: FromStr<Err = IdError>>(field: &str, text: &str) -> Result<I, Failure> {
    text.parse()
        .map_err(|error: IdError| Failure::invalid(vec![violation(field, error.to_string())]))
}

/// An enum; `None` if it is unspecified, and `None` with a violation if this server doesn't know the value.
pub fn parse_enum<E: ProtoEnum>(field: &str, value: i32, violations: &mut Violations) -> Option<E> {
    match E::Proto::try_from(value) {
        Ok(known) => E::from_proto(known),
        Err(_) => {
            violations.push(violation(field, format!("{value} is not a known value")));
            None
        }
    }
}

/// A ladder with defaults filled in and the largest rung first; `None` with all its violations if it can't be used.
pub fn parse_ladder(asked: &v1::Ladder, violations: &mut Violations) -> Option<Ladder> {
    let Some(mut ladder) = ladder_from_proto(asked) else {
        let (field, value) = match v1::EncoderSpeed::try_from(asked.speed) {
            Err(_) => ("ladder.speed", asked.speed),
            Ok(_) => ("ladder.codec", asked.codec),
        };
        violations.push(violation(field, format!("{value} is not a known value")));
        return None;
    };
    // Before sorting: violations name rungs by the caller's order.
    let found = ladder.violations();
    ladder.rungs.sort_by_key(|rung| Reverse(rung.short_side));
    let valid = found.is_empty();
    violations.extend(found);
    valid.then_some(ladder)
}

/// A point in time, cut to milliseconds; `None` if it is absent, or with a violation if it is out of range.
pub fn parse_timestamp(
    field: &str,
    value: Option<&prost_types::Timestamp>,
    violations: &mut Violations,
) -> Option<Timestamp> {
    let value = value?;
    let in_range = (0..1_000_000_000).contains(&value.nanos);
    let ms = value
        .seconds
        .checked_mul(1000)
        .and_then(|ms| ms.checked_add(i64::from(value.nanos / 1_000_000)));
    let parsed = ms.filter(|_| in_range).map(Timestamp);
    if parsed.is_none() {
        violations.push(violation(field, "is not a valid google.protobuf.Timestamp"));
    }
    parsed
}

/// The size of a page: the default for 0, the largest for more than that (AIP-158).
pub fn parse_page_size(asked: i32, violations: &mut Violations) -> i32 {
    match asked {
        ..0 => {
            violations.push(violation("page_size", "must not be negative"));
            limits::PAGE_SIZE_DEFAULT
        }
        0 => limits::PAGE_SIZE_DEFAULT,
        _ => asked.min(limits::PAGE_SIZE_MAX),
    }
}

/// A job's priority; with a violation if it is out of range.
pub fn parse_priority(asked: i32, violations: &mut Violations) -> i32 {
    let max = limits::PRIORITY_MAX;
    if !(-max..=max).contains(&asked) {
        violations.push(violation("priority", format!("must be from -{max} to {max}")));
    }
    asked
}

/// The caller's `request_id`; `None` if it is empty, or with a violation if it isn't a UUID.
pub fn parse_request_id(text: &str, violations: &mut Violations) -> Option<Uuid> {
    if text.is_empty() {
        return None;
    }
    Uuid::try_parse(text)
        .map_err(|_| violations.push(violation("request_id", "must be a UUID")))
        .ok()
}

#[cfg(test)]
mod tests {
    use reelway_domain::{EncoderSpeed, JobId, JobState, UploadId};

    use super::*;

    #[test]
    fn every_wrong_field_is_named() {
        let mut violations = Vec::new();
        assert_eq!(parse_id::<UploadId>("upload_id", "job_1", &mut violations), None);
        assert_eq!(parse_enum::<JobState>("state", 99, &mut violations), None);
        parse_page_size(-1, &mut violations);
        assert_eq!(parse_request_id("x", &mut violations), None);
        assert_eq!(parse_priority(-101, &mut violations), -101);
        let late = prost_types::Timestamp {
            seconds: i64::MAX,
            nanos: 0,
        };
        assert_eq!(parse_timestamp("create_time_min", Some(&late), &mut violations), None);
        let fields: Vec<String> = all_valid(violations)
            .unwrap_err()
            .violations
            .into_iter()
            .map(|v| v.field)
            .collect();
        assert_eq!(
            fields,
            [
                "upload_id",
                "state",
                "page_size",
                "request_id",
                "priority",
                "create_time_min"
            ]
        );
    }

    #[test]
    fn what_is_right_or_left_out_passes() {
        let mut violations = Vec::new();
        let id = JobId::new();
        assert_eq!(parse_id("job_id", &id.to_string(), &mut violations), Some(id));
        assert_eq!(require_id("job_id", &id.to_string()), Ok(id));
        assert_eq!(parse_enum::<JobState>("state", 0, &mut violations), None);
        assert_eq!(
            parse_enum("state", v1::JobState::Failed.into(), &mut violations),
            Some(JobState::Failed)
        );
        assert_eq!(parse_page_size(0, &mut violations), limits::PAGE_SIZE_DEFAULT);
        assert_eq!(parse_page_size(7, &mut violations), 7);
        assert_eq!(parse_page_size(i32::MAX, &mut violations), limits::PAGE_SIZE_MAX);
        assert_eq!(parse_request_id("", &mut violations), None);
        assert_eq!(parse_priority(100, &mut violations), 100);
        let before = prost_types::Timestamp {
            seconds: -1,
            nanos: 999_999_999,
        };
        assert_eq!(
            parse_timestamp("t", Some(&before), &mut violations),
            Some(Timestamp(-1))
        );
        assert_eq!(all_valid(violations), Ok(()));
    }

    #[test]
    fn ladders_get_defaults_and_order() {
        let rung = |short_side_pixels| v1::Rung {
            short_side_pixels,
            bitrate_max: 1_000_000,
        };
        let mut violations = Vec::new();
        let asked = v1::Ladder {
            rungs: vec![rung(360), rung(720)],
            ..Default::default()
        };
        let ladder = parse_ladder(&asked, &mut violations).unwrap();
        assert_eq!((ladder.crf, ladder.speed), (23, EncoderSpeed::Standard));
        assert_eq!(
            ladder.rungs.iter().map(|r| r.short_side).collect::<Vec<_>>(),
            [720, 360]
        );
    }

    #[test]
    fn ladders_out_of_range_are_refused_in_the_callers_order() {
        let rung = |short_side_pixels, bitrate_max| v1::Rung {
            short_side_pixels,
            bitrate_max,
        };
        let mut violations = Vec::new();
        let asked = v1::Ladder {
            rungs: vec![rung(-1, 1_000_000), rung(720, i64::MAX), rung(360, -1)],
            crf: -1,
            missing_percent_max: f64::NAN,
            ..Default::default()
        };
        assert_eq!(parse_ladder(&asked, &mut violations), None);
        let fields: Vec<&str> = violations.iter().map(|v| v.field.as_str()).collect();
        let rungs = [
            "ladder.rungs[0].short_side_pixels",
            "ladder.rungs[1].bitrate_max",
            "ladder.rungs[2].bitrate_max",
        ];
        assert_eq!(fields[..3], rungs);
        assert_eq!(fields[3..], ["ladder.crf", "ladder.missing_percent_max"]);
        assert_eq!(parse_ladder(&v1::Ladder { speed: 9, ..asked }, &mut Vec::new()), None);
    }
}
