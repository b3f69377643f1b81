//! Requests parsed into domain values. Each parser adds what is wrong to a list, so that a caller hears of every wrong
//! field at once: parse all fields, then ask [`all_valid`], then use the values.

mod field;
mod page_token;

pub use field::{
    all_valid, parse_enum, parse_id, parse_ladder, parse_page_size, parse_priority, parse_request_id, parse_timestamp,
    require_id, violation,
};
pub use page_token::{decode as decode_page_token, encode as encode_page_token};
