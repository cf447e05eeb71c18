//! A proxy's IdleClientTimeout is changed for a run and put back, whatever happens: each test in a region of its own.

#![allow(clippy::unwrap_used, reason = "what goes wrong here is a failed test")]

use api::rds_proxy::overriding::{Mark, Outcome};
use lab::{
    aws::{Aws, Region},
    overriding::{CHANGED, ORIGINAL, Proxy, moments, wait_until},
};
use serde_json::{Value, json};
use std::{fs, process::Command, thread, time::Duration};

const KEY: &str = "connection-probe/override/a";
const OTHER_KEY: &str = "connection-probe/override/other";
const OTHER: &str = "IdleClientTimeout from=1800 to=60 until=2099-01-01T00:00:00Z run=perf/other";

fn proxy(region: &'static str) -> Proxy {
    Proxy::new(Aws::region(region), "pulp")
}

fn count(region: Region, call: &str) -> usize {
    region.calls().iter().filter(|it| *it == call).count()
}

#[test]
fn a_proxy_is_changed_until_told_to_stop_and_is_then_as_it_was() {
    let proxy = proxy("us-east-1");
    let mut guard = proxy.guard(&proxy.order("a", 600));
    assert!(!guard.is_in_force());
    guard.wait_until_in_force();
    let (seconds, tags) = proxy.told();
    let mark: Mark = tags[0].1.parse().unwrap();
    assert_eq!((seconds, tags.len(), tags[0].0.as_str()), (CHANGED, 1, KEY));
    assert_eq!((mark.from, mark.to, mark.run.as_str()), (ORIGINAL, CHANGED, "perf/a"));

    // While it is put back it is not in force, and nothing stops that.
    proxy.region.fault(&json!({"kind": "holdAfter", "operation": "ModifyDBProxy", "times": 1}));
    guard.signal("TERM");
    wait_until(|| proxy.region.held() == 1);
    assert!(!guard.is_in_force());
    guard.signal("TERM");
    proxy.region.release(true);
    let ended = guard.end();
    assert!(proxy.is_as_it_was(), "{:?}", proxy.told());
    assert_eq!((ended.code, ended.outcome(), ended.problem()), (Some(0), Outcome::Restored, ""));
    let status = ended.status.as_ref().unwrap();
    assert_eq!((status.seconds, status.original_seconds), (CHANGED, Some(ORIGINAL)));
    assert!(status.in_force_at.unwrap() <= status.until.unwrap());
    assert_eq!(ended.out.lines().last(), Some(status.to_message().as_str()));
    let steps = ended.steps();
    let first = ["started", "tagged", "changing", "waiting", "inForce", "puttingBack"];
    assert_eq!(
        (&steps[..6], steps.last().unwrap().as_str()),
        (&first.map(String::from)[..], "restored")
    );
}

#[test]
fn it_ends_by_itself_at_its_deadline() {
    let proxy = proxy("us-east-2");
    let mut guard = proxy.guard(&proxy.order("a", 5));
    guard.wait_until_in_force();
    let ended = guard.end();
    assert_eq!((ended.code, ended.outcome()), (Some(0), Outcome::Restored));
    assert!(proxy.is_as_it_was());
    // Nothing is begun when it is over.
    let ended = proxy.guard(&proxy.order("a", -1)).end();
    assert_eq!(
        (ended.outcome(), ended.problem()),
        (Outcome::NotChanged, "The run's time is over.")
    );
    assert_eq!(count(proxy.region, "ModifyDBProxy"), 2);
    assert!(proxy.is_as_it_was());
}

#[test]
fn what_somebody_else_sets_meanwhile_is_left() {
    let proxy = proxy("us-west-1");
    let mut guard = proxy.guard(&proxy.order("a", 600));
    guard.wait_until_in_force();
    proxy.region.set_by_others("pulp", &json!({"idleClientTimeout": 900}));
    guard.signal("TERM");
    let ended = guard.end();
    assert_eq!((ended.code, ended.outcome()), (Some(0), Outcome::LeftToOthers));
    assert_eq!(ended.status.unwrap().found_seconds, Some(900));
    assert_eq!(proxy.told(), (900, Vec::new()));
    assert_eq!(count(proxy.region, "ModifyDBProxy"), 1);
}

#[test]
fn what_somebody_else_puts_back_meanwhile_is_not_told_as_held_to_the_end() {
    let proxy = proxy("ap-southeast-5");
    let mut guard = proxy.guard(&proxy.order("a", 600));
    guard.wait_until_in_force();
    proxy.region.set_by_others("pulp", &json!({"idleClientTimeout": ORIGINAL}));
    guard.signal("TERM");
    let ended = guard.end();
    assert_eq!((ended.code, ended.outcome()), (Some(0), Outcome::LeftToOthers));
    assert_eq!(ended.status.unwrap().found_seconds, Some(ORIGINAL));
    assert!(proxy.is_as_it_was(), "{:?}", proxy.told());
}

#[test]
fn a_guard_whose_change_was_put_back_leaves_that_of_the_next_run_alone() {
    let proxy = proxy("mx-central-1");
    let mut first = proxy.guard(&proxy.order("a", 600));
    first.wait_until_in_force();
    assert_eq!(proxy.restore_by_hand().outcome(), Outcome::Restored);
    let mut second = proxy.guard(&proxy.order("b", 600));
    second.wait_until_in_force();
    first.signal("TERM");
    assert_eq!(first.end().outcome(), Outcome::LeftToOthers);
    assert_eq!((proxy.told().0, proxy.told().1.len()), (CHANGED, 1), "the second one's");
    second.signal("TERM");
    assert_eq!(second.end().outcome(), Outcome::Restored);
    assert!(proxy.is_as_it_was(), "{:?}", proxy.told());
}

#[test]
fn without_the_tag_of_a_killed_guard_the_operators_order_says_what_was_there() {
    let proxy = proxy("ca-west-1");
    let mut order = proxy.order("a", 600);
    let mut guard = proxy.guard(&order);
    guard.wait_until_in_force();
    guard.signal("KILL");
    assert_eq!(guard.end().code, None);
    proxy.region.set_by_others("pulp", &json!({"tags": {}}));
    order["originalSeconds"] = json!(ORIGINAL);
    assert_eq!(proxy.restore(&order).outcome(), Outcome::Restored);
    assert!(proxy.is_as_it_was(), "{:?}", proxy.told());
}

#[test]
fn whoever_removes_the_tag_alone_does_not_keep_the_guard_from_putting_it_back() {
    let proxy = proxy("us-west-2");
    let mut guard = proxy.guard(&proxy.order("a", 600));
    guard.wait_until_in_force();
    proxy.region.set_by_others("pulp", &json!({"tags": {"team": "pulp"}}));
    guard.signal("TERM");
    assert_eq!(guard.end().outcome(), Outcome::Restored);
    assert_eq!(proxy.told(), (ORIGINAL, vec![("team".into(), "pulp".into())]));
}

#[test]
fn of_two_at_once_at_most_one_changes_it() {
    let region = Aws::region("eu-west-1");
    for round in 0..4 {
        let proxy = Proxy::new(region, &format!("pulp-{round}"));
        let order = |id: &str| proxy.order(id, 600);
        let mut guards = [proxy.guard(&order("a")), proxy.guard(&order("b"))];
        wait_until(|| guards.iter_mut().all(|it| it.is_in_force() || it.has_ended()));
        let in_force = guards.iter().filter(|it| it.is_in_force()).count();
        assert!(in_force <= 1, "round {round}");
        for guard in guards {
            let is_in_force = guard.is_in_force();
            if is_in_force {
                guard.signal("TERM");
            }
            let ended = guard.end();
            let expected = if is_in_force { Outcome::Restored } else { Outcome::NotChanged };
            assert_eq!(ended.outcome(), expected, "{}", ended.out);
            assert!(is_in_force || ended.problem().starts_with("Run perf/"), "{}", ended.out);
        }
        assert!(proxy.is_as_it_was(), "round {round}: {:?}", proxy.told());
    }
}

#[test]
fn of_two_that_see_each_other_the_second_withdraws_and_the_first_goes_on() {
    let proxy = proxy("eu-west-2");
    // Neither sees the other before both have left their tags.
    let fault = json!({"kind": "holdBefore", "operation": "AddTagsToResource", "times": 2});
    proxy.region.fault(&fault);
    let order = |id: &str| proxy.order(id, 30);
    let (mut first, second) = (proxy.guard(&order("a")), proxy.guard(&order("b")));
    wait_until(|| proxy.region.held() == 2);
    proxy.region.release(true);
    let ended = second.end();
    assert_eq!((ended.code, ended.outcome()), (Some(1), Outcome::NotChanged));
    assert!(ended.problem().starts_with("Run perf/a changes IdleClientTimeout"), "{}", ended.out);
    wait_until(|| first.is_in_force() || first.has_ended());
    // It had to wait until the other one's tag was gone: where that took too long, it withdrew as well.
    let is_in_force = first.is_in_force();
    if is_in_force {
        first.signal("TERM");
    }
    let expected = if is_in_force { Outcome::Restored } else { Outcome::NotChanged };
    assert_eq!(first.end().outcome(), expected);
    assert!(proxy.is_as_it_was());
}

#[test]
fn a_proxy_that_another_run_has_is_refused() {
    let proxy = proxy("eu-west-3");
    proxy.region.set_by_others("pulp", &json!({"tags": {OTHER_KEY: OTHER, "team": "pulp"}}));
    let ended = proxy.guard(&proxy.order("a", 600)).end();
    assert_eq!((ended.code, ended.outcome()), (Some(1), Outcome::NotChanged));
    assert_eq!(
        ended.problem(),
        "Run perf/other changes IdleClientTimeout of the proxy until 2099-01-01T00:00:00Z. Wait until then; or, if \
         that run is gone, put it back by `kubectl cprobe restore`."
    );
    assert_eq!(proxy.region.calls(), ["DescribeDBProxies", "ListTagsForResource"]);
}

#[test]
fn a_dry_run_tells_the_calls_and_makes_none() {
    let proxy = proxy("eu-north-1");
    let mut order = proxy.order("a", 600);
    order["proxy"]["override"] = json!({"idleClientTimeout": "60s", "dryRun": true});
    let ended = proxy.guard(&order).end();
    assert_eq!((ended.code, ended.outcome()), (Some(0), Outcome::DryRun));
    let status = ended.status.unwrap();
    let commands: Vec<_> = status.calls.iter().map(|it| it.split(' ').nth(2).unwrap()).collect();
    assert_eq!(
        commands,
        [
            "describe-db-proxies",
            "add-tags-to-resource",
            "modify-db-proxy",
            "modify-db-proxy",
            "remove-tags-from-resource",
        ]
    );
    assert_eq!(status.original_seconds, Some(ORIGINAL));
    assert_eq!(proxy.region.calls(), ["DescribeDBProxies", "ListTagsForResource"]);
}

#[test]
fn a_permission_that_lacks_is_named_and_nothing_is_changed() {
    let calls = [
        "DescribeDBProxies",
        "ListTagsForResource",
        "RemoveTagsFromResource",
        "AddTagsToResource",
        "ModifyDBProxy",
    ];
    for call in calls {
        let proxy = Proxy::new(Aws::region("eu-central-1"), &format!("pulp-{call}"));
        proxy.region.fault(&json!({"kind": "denied", "operation": call}));
        let ended = proxy.guard(&proxy.order("a", 600)).end();
        proxy.region.calm();
        assert_eq!((ended.code, ended.outcome()), (Some(1), Outcome::NotChanged), "{}", ended.out);
        let allow = format!("Allow rds:{call} to the role of service account changer");
        assert!(ended.problem().contains(&allow), "{}", ended.problem());
        assert!(proxy.is_as_it_was(), "{call}: {:?}", proxy.told());
    }
}

#[test]
fn what_passes_is_tried_again() {
    let proxy = proxy("ap-south-1");
    let calls = ["DescribeDBProxies", "ListTagsForResource", "AddTagsToResource", "ModifyDBProxy"];
    for call in calls {
        proxy.region.fault(&json!({"kind": "throttled", "operation": call, "times": 1}));
    }
    let mut guard = proxy.guard(&proxy.order("a", 600));
    guard.wait_until_in_force();
    // More often than the SDK tries by itself.
    proxy.region.fault(&json!({"kind": "html", "operation": "ModifyDBProxy", "times": 5}));
    guard.signal("TERM");
    let ended = guard.end();
    assert_eq!(ended.outcome(), Outcome::Restored);
    assert_eq!(ended.steps().iter().filter(|it| *it == "again").count(), 1, "{}", ended.out);
    assert!(proxy.is_as_it_was());
}

#[test]
fn a_proxy_that_is_modifying_is_waited_for() {
    let region = Aws::region("ap-northeast-1");
    let proxy = Proxy::planted(region, &json!({"name": "pulp"}));
    // Somebody else's change is under way; and another one when ours has been put down.
    region.set_by_others("pulp", &json!({"modifying": 3}));
    let hold = json!({"kind": "holdBefore", "operation": "ModifyDBProxy", "times": 1});
    region.fault(&hold);
    let mut guard = proxy.guard(&proxy.order("a", 600));
    wait_until(|| region.held() == 1);
    region.set_by_others("pulp", &json!({"modifying": 1}));
    region.release(true);
    guard.wait_until_in_force();
    guard.signal("TERM");
    let ended = guard.end();
    assert_eq!(ended.outcome(), Outcome::Restored);
    let steps = ended.steps();
    assert_eq!((steps[1].as_str(), steps[2].as_str()), ("waiting", "tagged"), "{}", ended.out);
    assert!(steps.contains(&"again".to_owned()), "{}", ended.out);
    assert!(proxy.is_as_it_was());
}

#[test]
fn a_value_that_is_right_already_is_kept_so_without_any_change() {
    let region = Aws::region("ap-northeast-2");
    let proxy = Proxy::planted(region, &json!({"name": "pulp", "idleClientTimeout": CHANGED}));
    let mut guard = proxy.guard(&proxy.order("a", 600));
    guard.wait_until_in_force();
    // Others are kept out all the same.
    let other = proxy.guard(&proxy.order("b", 600)).end();
    assert_eq!(other.outcome(), Outcome::NotChanged);
    guard.signal("TERM");
    let ended = guard.end();
    assert_eq!(ended.outcome(), Outcome::Restored);
    assert_eq!(ended.status.unwrap().original_seconds, Some(CHANGED));
    assert_eq!(proxy.told(), (CHANGED, Vec::new()));
    assert_eq!(count(region, "ModifyDBProxy"), 0);
}

#[test]
fn credentials_that_have_expired_are_read_anew() {
    let proxy = proxy("ap-southeast-1");
    let mut guard = proxy.guard(&proxy.order("a", 600));
    guard.wait_until_in_force();
    let expired = json!({"kind": "expired", "operation": "*", "key": "AKIAIOSFODNN7EXAMPLE"});
    proxy.region.fault(&expired);
    guard.signal("TERM");
    guard.wait_until_told("again");
    proxy.set_key("AKIAI44QH8DHBEXAMPLE");
    let ended = guard.end();
    assert_eq!(ended.outcome(), Outcome::Restored, "{}", ended.out);
    assert!(ended.out.contains("The credentials have expired (ExpiredToken)."), "{}", ended.out);
    assert!(proxy.is_as_it_was());
}

/// With a service account, whose credentials expire soon.
fn as_account(proxy: &Proxy, folder: &tempfile::TempDir) -> Command {
    let token = folder.path().join("token");
    fs::write(&token, "a.b.c").unwrap();
    let mut command = proxy.command("override");
    command.env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/changer");
    command.env("AWS_WEB_IDENTITY_TOKEN_FILE", token);
    command
}

#[test]
fn credentials_are_renewed_in_time_and_where_they_can_not_be_it_is_put_back() {
    // STS is asked without a signature, which would name a region: its faults are those of us-east-1.
    let (sts, proxy) = (Aws::region("us-east-1"), proxy("ap-southeast-2"));
    let folder = tempfile::tempdir().unwrap();
    let brief = |seconds: u32, times: u32| {
        let call = "AssumeRoleWithWebIdentity";
        json!({"kind": "brief", "operation": call, "seconds": seconds, "times": times})
    };
    // Those that expire in five minutes are renewed at once.
    sts.fault(&brief(300, 1));
    let mut guard = proxy.start(as_account(&proxy, &folder), &proxy.order("a", 600));
    guard.wait_until_in_force();
    guard.wait_until_told("renewed");
    assert!(guard.is_in_force());
    guard.signal("TERM");
    assert_eq!(guard.end().outcome(), Outcome::Restored);

    // Here there are none that last longer.
    sts.fault(&brief(100, 2));
    let ended = proxy.start(as_account(&proxy, &folder), &proxy.order("a", 600)).end();
    assert_eq!(ended.outcome(), Outcome::Restored);
    assert_eq!(ended.problem(), "The credentials expire. There are no newer ones.");
    assert!(ended.steps().contains(&"inForce".to_owned()), "{}", ended.out);
    assert!(proxy.is_as_it_was());
}

#[test]
fn what_was_killed_is_put_back_by_hand_once() {
    let proxy = proxy("sa-east-1");
    let mut guard = proxy.guard(&proxy.order("a", 600));
    guard.wait_until_in_force();
    guard.signal("KILL");
    drop(guard);
    assert_eq!(proxy.told().0, CHANGED);
    let ended = proxy.restore_by_hand();
    assert_eq!((ended.code, ended.outcome()), (Some(0), Outcome::Restored));
    assert_eq!(ended.status.as_ref().unwrap().original_seconds, Some(ORIGINAL));
    assert!(proxy.is_as_it_was());
    let again = proxy.restore_by_hand();
    assert_eq!((again.code, again.steps()), (Some(0), vec!["noTag".to_owned()]));
    assert_eq!(count(proxy.region, "ModifyDBProxy"), 2);
}

#[test]
fn a_pod_made_anew_goes_on() {
    let proxy = proxy("ca-central-1");
    let order = proxy.order("a", 600);
    let mut guard = proxy.guard(&order);
    guard.wait_until_in_force();
    guard.signal("KILL");
    drop(guard);
    let mut guard = proxy.guard(&order);
    guard.wait_until_in_force();
    assert_eq!(count(proxy.region, "ModifyDBProxy"), 1);
    guard.signal("TERM");
    let ended = guard.end();
    assert_eq!(ended.outcome(), Outcome::Restored);
    assert_eq!(ended.status.unwrap().original_seconds, Some(ORIGINAL));
    assert!(proxy.is_as_it_was());
}

#[test]
fn a_change_under_way_is_awaited_and_put_back() {
    let proxy = proxy("ap-southeast-3");
    proxy.region.fault(&json!({"kind": "holdBefore", "operation": "ModifyDBProxy", "times": 1}));
    let mut guard = proxy.guard(&proxy.order("a", 600));
    wait_until(|| proxy.region.held() == 1);
    let known = proxy.region.calls().len();
    guard.signal("TERM");
    thread::sleep(Duration::from_millis(500));
    assert!(!guard.has_ended());
    assert_eq!(proxy.region.calls().len(), known, "nothing is begun before its answer");
    proxy.region.release(true);
    assert_eq!(guard.end().outcome(), Outcome::Restored);
    assert!(proxy.is_as_it_was());
}

#[test]
fn a_change_that_is_carried_out_late_is_put_back_as_well() {
    let proxy = proxy("ap-southeast-4");
    let (region, order) = (proxy.region, proxy.order("a", 600));
    region.fault(&json!({"kind": "holdBefore", "operation": "ModifyDBProxy", "times": 1}));
    let guard = proxy.guard(&order);
    wait_until(|| region.held() == 1);
    guard.signal("KILL");
    drop(guard);
    // Whoever restores has seen the old value, when the call of the one that was killed is carried out.
    region.fault(&json!({"kind": "holdAfter", "operation": "ListTagsForResource", "times": 1}));
    thread::scope(|scope| {
        let restore = scope.spawn(|| proxy.restore(&order));
        wait_until(|| region.held() == 2);
        region.release_first();
        wait_until(|| proxy.told().0 == CHANGED);
        region.release(true);
        assert_eq!(restore.join().unwrap().outcome(), Outcome::Restored);
    });
    assert!(proxy.is_as_it_was(), "{:?}", proxy.told());
}

#[test]
fn what_can_not_be_put_back_says_what_to_do_and_can_be_later() {
    for (region, call, value) in [
        ("me-south-1", "ModifyDBProxy", CHANGED),
        ("af-south-1", "RemoveTagsFromResource", ORIGINAL),
    ] {
        let proxy = proxy(region);
        let order = proxy.order("a", 600);
        let mut guard = proxy.guard_with(&order, &["--grace", "1s"]);
        guard.wait_until_in_force();
        proxy.region.fault(&json!({"kind": "denied", "operation": call}));
        guard.signal("TERM");
        let ended = guard.end();
        assert_eq!((ended.code, ended.outcome()), (Some(6), Outcome::NotRestored));
        assert!(ended.problem().contains("`kubectl cprobe restore`"), "{}", ended.problem());
        let told = "`aws rds modify-db-proxy --region me-south-1 --db-proxy-name pulp --idle-client-timeout 1800`";
        assert_eq!(ended.problem().contains(told), value == CHANGED, "{}", ended.problem());
        assert_eq!((proxy.told().0, proxy.told().1.len()), (value, 1));
        proxy.region.calm();
        let ended = proxy.restore(&order);
        assert_eq!((ended.code, ended.outcome()), (Some(0), Outcome::Restored));
        assert!(proxy.is_as_it_was());
    }
}

#[test]
fn a_proxy_that_is_not_there_needs_nothing() {
    let mut order = proxy("eu-central-2").order("a", 600);
    order["proxy"]["name"] = json!("none");
    let proxy = Proxy::new(Aws::region("eu-central-2"), "pulp-2");
    let ended = proxy.guard(&order).end();
    assert_eq!((ended.code, ended.outcome()), (Some(1), Outcome::NotChanged));
    let told = "rds:DescribeDBProxies: There is no proxy none in eu-central-2.";
    assert!(ended.problem().starts_with(told), "{}", ended.problem());
    let ended = proxy.restore(&order);
    assert_eq!((ended.code, ended.outcome()), (Some(0), Outcome::LeftToOthers));
    assert!(ended.problem().starts_with(told), "{}", ended.problem());
}

#[test]
fn an_order_that_can_not_be_used_is_said_and_ends_by_2() {
    let proxy = proxy("il-central-1");
    let mut order = proxy.order("a", 600);
    order["proxy"]["override"]["allowModify"] = json!(false);
    for order in [order, Value::Null] {
        let ended = proxy.guard(&order).end();
        assert_eq!((ended.code, ended.status), (Some(2), None));
    }
    assert_eq!(proxy.region.calls(), [""; 0]);
}

#[test]
fn whenever_it_is_interrupted_the_proxy_ends_as_it_began() {
    let regions = ["ap-east-1", "eu-south-1", "ap-northeast-3", "me-central-1"];
    let moments = moments::all(&regions.map(Aws::region));
    println!("{}", moments::table(&moments));
    let wrong: Vec<_> = moments.into_iter().filter(|it| !it.is_right()).collect();
    assert!(wrong.is_empty(), "{}", moments::table(&wrong));
}
