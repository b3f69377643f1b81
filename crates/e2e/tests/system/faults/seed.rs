//! Chance that can be repeated.

use std::{env, str::FromStr};

use rand::{SeedableRng as _, rngs::StdRng};

/// Choose the chances of another run with this variable.
const SEED_VARIABLE: &str = "REELWAY_TEST_SEED";

/// The chances of this run, and the seed, which is printed.
pub(super) fn random() -> (StdRng, u64) {
    let seed = number(SEED_VARIABLE, rand::random());
    eprintln!("{SEED_VARIABLE}={seed}");
    (StdRng::seed_from_u64(seed), seed)
}

/// A number from the environment, or what it is by default.
pub(super) fn number<T: FromStr>(variable: &str, default: T) -> T {
    let given = env::var(variable).ok();
    given.map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text}: not a number"))
    })
}
