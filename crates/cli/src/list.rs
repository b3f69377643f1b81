//! Lists: page after page, as far as is wanted.

use reelway_client::Error;
use reelway_domain::limits;

/// Asks for pages by their size and token, until there are `limit` entries or no more. A page comes with the next one's
/// token, empty at the end.
pub(crate) async fn up_to<T>(
    limit: usize,
    page: impl AsyncFn(i32, String) -> Result<(Vec<T>, String), Error>,
) -> Result<Vec<T>, Error> {
    let mut entries = Vec::new();
    let mut token = String::new();
    while entries.len() < limit {
        let wanted = i32::try_from(limit - entries.len()).unwrap_or(limits::PAGE_SIZE_MAX);
        let (more, next) = page(wanted.min(limits::PAGE_SIZE_MAX), token).await?;
        entries.extend(more);
        if next.is_empty() {
            break;
        }
        token = next;
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pages_are_asked_for_until_there_are_enough() {
        let page = async |size: i32, token: String| {
            let from = token.parse().unwrap_or(0);
            let end = (from + size).min(1200);
            Ok((
                (from..end).collect(),
                if end == 1200 { String::new() } else { end.to_string() },
            ))
        };
        for (limit, expected) in [(0, 0), (7, 7), (501, 501), (5000, 1200)] {
            let entries = up_to(limit, page).await.expect("pages");
            assert_eq!(entries, (0..expected).collect::<Vec<i32>>());
        }
    }
}
