//! Objects that nobody would write: probes, runs, Jobs and pods of a history, corrupted at random.

use super::{history::END, *};

/// One corruption: of which object, where in it, and how.
type Corruption = (usize, Vec<usize>, usize);

fn corruption() -> impl Strategy<Value = Corruption> {
    (any::<usize>(), proptest::collection::vec(any::<usize>(), 1..10), any::<usize>())
}

/// Walks down a path and replaces what it finds there by something of the same type, or takes it away.
fn corrupt(value: &mut Value, path: &[usize], how: usize) {
    let numbers = [0, 1, -1, i64::from(i32::MAX), i64::from(i32::MIN), i64::MAX, i64::MIN];
    let texts = ["", "0", "False", "9999-12-30T22:00:00Z", "💥"];
    let times = ["0001-01-01T00:00:00Z", "2500-01-01T00:00:00Z", "1970-01-01T00:00:00Z"];
    match (value, path) {
        (Value::Object(fields), [step, rest @ ..]) if !fields.is_empty() => {
            let at = step % fields.len();
            let name = fields.keys().nth(at).unwrap().clone();
            if rest.is_empty() {
                fields.remove(&name);
            } else {
                corrupt(&mut fields[&name], rest, how);
            }
        }
        (Value::Array(items), [step, rest @ ..]) if !items.is_empty() && !rest.is_empty() => {
            let at = step % items.len();
            corrupt(&mut items[at], rest, how);
        }
        (Value::Array(items), _) if how.is_multiple_of(2) => items.clear(),
        (Value::Array(items), _) => items.extend(items.clone()),
        (Value::Bool(flag), _) => *flag = !*flag,
        (number @ Value::Number(_), _) => *number = json!(numbers[how % numbers.len()]),
        (Value::String(text), _) if text.parse::<Timestamp>().is_ok() => {
            times[how % times.len()].clone_into(text);
        }
        (Value::String(text), _) => match texts.get(how % (texts.len() + 1)) {
            Some(other) => (*other).clone_into(text),
            None => *text = text.repeat(50),
        },
        (Value::Object(_) | Value::Null, _) => {}
    }
}

/// Whether the operator's types can hold it. What they can't never reaches it.
fn is_readable(plural: &str, object: &Value) -> bool {
    let object = object.clone();
    match plural {
        "connectionprobes" => from_value::<ConnectionProbe>(object).is_ok(),
        "connectionproberuns" => from_value::<ConnectionProbeRun>(object).is_ok(),
        "jobs" => from_value::<Job>(object).is_ok(),
        _ => from_value::<Pod>(object).is_ok(),
    }
}

/// Whether all comes to rest; how many objects were corrupted.
async fn confront(history: &History, corruptions: &[Corruption]) -> Result<usize, TestCaseError> {
    let server = ApiServer::default();
    *server.state() = State::new(history.order, history.overrides);
    let mut operator = Operator::start(&server).await;
    for event in &history.events[..history.events.len() - END] {
        server.state().happen(event, history.abrupt);
        operator.rest(&server, history.abrupt).await;
    }
    let mut corrupted = 0;
    for (object, path, how) in corruptions {
        let mut state = server.state();
        let count = state.objects.len();
        let ((plural, _), object) = state.objects.iter_mut().nth(object % count).unwrap();
        let mut changed = object.clone();
        corrupt(&mut changed, path, *how);
        if plural != "events" && changed != *object && is_readable(plural, &changed) {
            *object = changed;
            corrupted += 1;
        }
    }
    operator = Operator::start(&server).await;
    for _ in 0..20 {
        let before = server.state().version;
        let _ = operator.reconcile(&server).await;
        if server.state().version == before {
            return Ok(corrupted);
        }
    }
    let change = server.state().changes.pop();
    Err(TestCaseError::fail(format!("no rest: {change:?}")))
}

#[test]
fn whatever_objects_say_nothing_panics_and_all_comes_to_rest() {
    let corrupted = Cell::new(0);
    let cases = (history(), proptest::collection::vec(corruption(), 1..8));
    let clusters = try_random(cases, 2, |(history, corruptions)| {
        corrupted.set(corrupted.get() + block_on(confront(&history, &corruptions))?);
        Ok(())
    });
    println!("{} corrupted objects in {clusters} clusters", corrupted.get());
}
