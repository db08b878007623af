//! The shortest schedule that still breaks a promise.

/// Takes choices away, and makes others calm, as long as `breaks` holds of what is left; asks at most `tries` times.
///
/// Beyond its end a schedule is calm, so its end goes first.
pub(super) fn shorten(mut script: Vec<u32>, tries: usize, breaks: impl FnMut(&[u32]) -> bool) -> Vec<u32> {
    let mut trial = Trial { left: tries, breaks };
    cut_the_end(&mut script, &mut trial);
    let mut size = (script.len() / 2).max(1);
    while trial.left > 0 {
        let before = script.clone();
        let mut at = script.len();
        while at > 0 {
            let start = at.saturating_sub(size);
            let without = [&script[..start], &script[at..]].concat();
            let mut calm = script.clone();
            calm[start..at].fill(0);
            if trial.breaks(&without) {
                script = without;
            } else if calm != script && trial.breaks(&calm) {
                script = calm;
            }
            at = start;
        }
        if size == 1 && script == before {
            break;
        }
        size = (size / 2).max(1);
    }
    script
}

struct Trial<F> {
    left: usize,
    breaks: F,
}

impl<F: FnMut(&[u32]) -> bool> Trial<F> {
    fn breaks(&mut self, script: &[u32]) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        (self.breaks)(script)
    }
}

fn cut_the_end<F: FnMut(&[u32]) -> bool>(script: &mut Vec<u32>, trial: &mut Trial<F>) {
    let (mut enough, mut too_short) = (script.len(), 0);
    while too_short + 1 < enough {
        let middle = usize::midpoint(too_short, enough);
        if trial.breaks(&script[..middle]) {
            enough = middle;
        } else {
            too_short = middle;
        }
    }
    script.truncate(enough);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_breaks_the_promise_is_left() {
        // Broken wherever a 3 comes somewhere before a 5.
        let breaks = |script: &[u32]| {
            let three = script.iter().position(|choice| *choice == 3);
            three.is_some_and(|at| script[at..].contains(&5))
        };
        let script: Vec<u32> = (0..200).map(|at| at % 7).collect();
        assert_eq!(shorten(script, 10_000, breaks), [3, 5]);
    }

    #[test]
    fn the_tries_are_bounded() {
        let mut asked = 0;
        let script = shorten(vec![1; 500], 20, |script| {
            asked += 1;
            script.len() > 100
        });
        assert!(asked <= 20 && script.len() > 100);
    }
}
