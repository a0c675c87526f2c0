//! Reading a listing page by page.

use herder_aws::ssm::Page;

/// How a listing was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// What was wanted was found.
    Enough,
    /// There are no more pages: what wasn't found isn't there.
    AtTheEnd,
    /// There are more pages: what wasn't found may be there.
    InTheMiddle,
}

/// Reads pages until `is_enough` says so, but at most `most`.
pub(super) async fn read<T, E, F>(
    most: usize,
    mut page: impl FnMut(Option<String>) -> F,
    mut is_enough: impl FnMut(&[T]) -> bool,
) -> Result<Left, E>
where
    F: Future<Output = Result<Page<T>, E>>,
{
    let mut token = None;
    for _ in 0..most {
        let read = page(token).await?;
        if is_enough(&read.items) {
            return Ok(Left::Enough);
        }
        token = read.next;
        if token.is_none() {
            return Ok(Left::AtTheEnd);
        }
    }
    Ok(Left::InTheMiddle)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks for a number in pages of two, 0 to 9.
    async fn look(most: usize, wanted: usize) -> Left {
        let page = |token: Option<String>| {
            let from: usize = token.map_or(0, |token| token.parse().unwrap());
            let next = (from < 8).then(|| (from + 2).to_string());
            async move { Ok::<_, ()>(Page { items: vec![from, from + 1], next }) }
        };
        read(most, page, |items| items.contains(&wanted)).await.unwrap()
    }

    #[tokio::test]
    async fn a_miss_is_one_only_at_the_end() {
        assert_eq!(look(10, 9).await, Left::Enough);
        assert_eq!(look(5, 10).await, Left::AtTheEnd);
        assert_eq!(look(4, 9).await, Left::InTheMiddle);
    }
}
