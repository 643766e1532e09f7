//! Endpoint instances: names, sharing, the field-wise order, and the one text form.

use std::hash::{BuildHasher, RandomState};

use proptest::prelude::*;
use static_assertions::{assert_impl_all, const_assert_eq};
use worker_id::{
    EndpointInstanceId, NameError, NameField, NameRule, NumberRule, ParseEndpointInstanceError,
};

assert_impl_all!(EndpointInstanceId: Send, Sync, Unpin);
assert_impl_all!(NameError: std::error::Error, Send, Sync);
assert_impl_all!(ParseEndpointInstanceError: std::error::Error, Send, Sync);
const_assert_eq!(size_of::<EndpointInstanceId>(), 32);
const_assert_eq!(size_of::<Option<EndpointInstanceId>>(), 32);

type Fields = (String, String, String, u64);

fn build((namespace, component, endpoint, id): &Fields) -> EndpointInstanceId {
    EndpointInstanceId::new(namespace, component, endpoint, *id).unwrap()
}

fn any_fields() -> impl Strategy<Value = Fields> {
    let name = "[^/\\s\\pC]{1,60}";
    (name, name, name, any::<u64>())
}

/// Few names, one a prefix of the other, and with characters on both sides of `/`.
fn crowded() -> impl Strategy<Value = Fields> {
    let name = "a[-0é]?";
    (name, name, name, 0..2u64)
}

/// Texts that are instances, or nearly.
fn nearly_an_instance() -> impl Strategy<Value = String> {
    "(a|b-c|世| |\t|){1,2}/(a|/)/a(/| |)/(0|7|07|\\+7|18446744073709551616|[0-9]{0,20})(/|a| |)"
}

proptest! {
    #[test]
    fn text_round_trips(fields in any_fields()) {
        let instance = build(&fields);
        let back: EndpointInstanceId = instance.to_string().parse().unwrap();
        prop_assert_eq!(&back, &instance);
        let back = (back.namespace(), back.component(), back.endpoint(), back.instance_id());
        prop_assert_eq!(back, (&*fields.0, &*fields.1, &*fields.2, fields.3));
    }

    #[test]
    fn only_canonical_text_is_accepted(text in prop_oneof![any::<String>(), nearly_an_instance()]) {
        if let Ok(instance) = text.parse::<EndpointInstanceId>() {
            prop_assert_eq!(instance.to_string(), text);
        }
    }

    #[test]
    fn comparing_and_hashing_see_every_field_in_order(a in crowded(), b in crowded()) {
        let (x, y) = (build(&a), build(&b));
        prop_assert_eq!(x == y, a == b);
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        prop_assert_eq!(x.partial_cmp(&y), Some(x.cmp(&y)));
        let hasher = RandomState::new();
        prop_assert_eq!(hasher.hash_one(&x) == hasher.hash_one(&y), a == b);
    }

    #[test]
    fn a_sibling_compares_as_one_made_anew(a in crowded(), b in crowded(), id in 0..2u64) {
        let (shared, anew) = (build(&a).with_instance_id(id), build(&(a.0.clone(), a.1.clone(), a.2.clone(), id)));
        let other = build(&b);
        prop_assert_eq!(&shared, &anew);
        prop_assert_eq!(shared == other, anew == other);
        prop_assert_eq!(shared.cmp(&other), anew.cmp(&other));
    }

    #[test]
    fn sorting_goes_by_field(mut fields in prop::collection::vec(crowded(), 0..20)) {
        let mut instances: Vec<_> = fields.iter().map(build).collect();
        instances.sort();
        fields.sort();
        prop_assert_eq!(instances, fields.iter().map(build).collect::<Vec<_>>());
    }
}

#[test]
fn the_order_is_not_that_of_the_text() {
    let (plain, dashed) = (parse("a/z/e/1"), parse("a-b/c/e/1"));
    assert!(plain < dashed);
    assert!(plain.to_string() > dashed.to_string());
    assert!(parse("a/b/c/9") < parse("a/b/c/10"));
}

#[test]
fn a_clone_and_a_sibling_share_the_path() {
    let first = parse("prod/decode/generate/1");
    let second = first.with_instance_id(2);
    assert!(std::ptr::eq(first.path(), first.clone().path()));
    assert!(std::ptr::eq(first.path(), second.path()));
    assert_eq!(second.to_string(), "prod/decode/generate/2");
    // The same endpoint, made apart: equal, from another place.
    let apart = parse("prod/decode/generate/1");
    assert!(!std::ptr::eq(first.path(), apart.path()));
    assert_eq!(first, apart);
    assert_ne!(first, second);
    assert!(first < second);
}

#[test]
fn debug_shows_the_fields() {
    assert_eq!(
        format!("{:?}", parse("a/b/c/1")),
        r#"EndpointInstanceId { namespace: "a", component: "b", endpoint: "c", instance_id: 1 }"#
    );
}

fn parse(text: &str) -> EndpointInstanceId {
    text.parse().unwrap()
}

#[test]
fn names_are_checked_in_every_position() {
    let longest = "n".repeat(EndpointInstanceId::MAX_NAME_LEN);
    let too_long = "n".repeat(EndpointInstanceId::MAX_NAME_LEN + 1);
    let accepted = EndpointInstanceId::new(&longest, &longest, &longest, 0).unwrap();
    assert_eq!(
        [
            accepted.namespace(),
            accepted.component(),
            accepted.endpoint()
        ],
        [&longest; 3]
    );

    for (name, rule) in [
        ("", NameRule::Empty),
        (&*too_long, NameRule::TooLong { len: 256 }),
        ("a/b", NameRule::Forbidden('/')),
        ("a b", NameRule::Forbidden(' ')),
        ("a\u{a0}b", NameRule::Forbidden('\u{a0}')),
        ("a\n", NameRule::Forbidden('\n')),
        ("\0", NameRule::Forbidden('\0')),
        ("\u{9f}", NameRule::Forbidden('\u{9f}')),
    ] {
        for (position, field) in [
            NameField::Namespace,
            NameField::Component,
            NameField::Endpoint,
        ]
        .into_iter()
        .enumerate()
        {
            let mut names = ["a"; 3];
            names[position] = name;
            let error = EndpointInstanceId::new(names[0], names[1], names[2], 1).unwrap_err();
            assert_eq!((error.field, error.rule), (field, rule), "{name:?}");
            assert!(name.starts_with(error.value.trim_end_matches('…')));
        }
    }
}

#[test]
fn bad_text_names_the_part_and_the_rule() {
    use ParseEndpointInstanceError::{InstanceId, Name, Parts};
    let error = |text: &str| text.parse::<EndpointInstanceId>().unwrap_err();

    for (text, count) in [
        ("", 1),
        ("a", 1),
        ("a/b/c", 3),
        ("a/b/c/1/", 5),
        ("/a/b/c/1", 5),
        ("a//b/c/1", 5),
    ] {
        assert!(
            matches!(error(text), Parts { text: kept, found } if *kept == *text && found == count),
            "{text:?}"
        );
    }
    for (text, broken) in [
        ("a/b/c/", NumberRule::Empty),
        ("a/b/c/+1", NumberRule::NotDigits),
        ("a/b/c/1 ", NumberRule::NotDigits),
        ("a/b/c/٣", NumberRule::NotDigits),
        ("a/b/c/01", NumberRule::LeadingZero),
        (
            "a/b/c/18446744073709551616",
            NumberRule::TooLarge { max: u64::MAX },
        ),
    ] {
        assert!(
            matches!(error(text), InstanceId { rule, .. } if rule == broken),
            "{text:?}"
        );
    }
    for (text, broken) in [
        ("/b/c/1", NameField::Namespace),
        ("a//c/1", NameField::Component),
        ("a/b/ /1", NameField::Endpoint),
    ] {
        assert!(
            matches!(error(text), Name(NameError { field, .. }) if field == broken),
            "{text:?}"
        );
    }
}

#[test]
fn messages_say_what_is_wrong_and_what_to_write() {
    let message = |text: &str| text.parse::<EndpointInstanceId>().unwrap_err().to_string();
    assert_eq!(
        message("a/b"),
        r#""a/b" names no instance: it has 2 of the 4 parts; write `namespace/component/endpoint/instance_id`"#
    );
    assert_eq!(
        message("a/b c/d/1"),
        r#"the component "b c" holds ' '; a name has 1 to 255 bytes, without `/`, whitespace and control characters"#
    );
    assert_eq!(
        message("a/b/c/-1"),
        r#"the instance_id "-1" holds something other than the digits 0 to 9; write it in plain decimal, such as `42`"#
    );
    assert!(message(&"/".repeat(1_000_000)).len() < 300);
}
