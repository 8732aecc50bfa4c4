//! `sagas.lock` (R34): what would lose something that is stored fails a test.

#![allow(missing_docs, unreachable_pub, dead_code)] // The types of a test need no manual, and are only looked at.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;

use saga::prelude::*;
use saga::testing::Lock;

macro_rules! build {
    ($module:ident, $version:literal, saga = $saga:tt, [$(#[$on_saga:meta])*], state = $state:tt, timer = $timer:tt,
     event = $event:tt, { $($types:tt)* }) => {
        mod $module {
            use super::*;

            #[derive(Saga, Clone, Debug, PartialEq)]
            #[saga $saga]
            $(#[$on_saga])*
            #[initially(when(Ordered, run(order), send(Bake), transition_to(Baking)))]
            #[unhandled(reject)]
            pub enum CakeState {
                #[state $state]
                #[during(
                    when(Baked, run(cool), transition_to(Cooling)),
                    when(any(failed(Bake), unknown(Bake)), transition_to(Burnt))
                )]
                Baking,
                #[during(timeout $timer)]
                Cooling(Tray),
                #[terminal]
                Sold,
                #[terminal(failure)]
                Burnt,
            }

            impl CakeActions for Cake {
                fn order(_: &Ordered, _: &mut Context) -> ActionResult<Self> {
                    Err("only looked at".into())
                }
                fn bake(&self, _: &Ordered, _: &mut Context) -> Bake {
                    Bake { oven: 1 }
                }
                fn cool(&mut self, _: &Baked, _: &mut Context) -> ActionResult<Tray> {
                    Err("only looked at".into())
                }
            }

            #[derive(Event, Clone, Debug, Serialize, Deserialize)]
            #[event $event]
            pub struct Ordered {
                pub cake: String,
            }
            #[derive(Event, Clone, Debug, Serialize, Deserialize)]
            #[event(name = "baked")]
            pub struct Baked {}
            #[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
            #[command(name = "bake", replies(Baked))]
            pub struct Bake {
                oven: u8,
            }

            $($types)*

            pub fn lock(path: &PathBuf) -> Lock {
                Lock::at(path).saga::<CakeState>()
            }
        }
    };
}

build!(
    first,
    1,
    saga = (name = "cake", version = 1, data(Cake), actions(CakeActions)),
    [],
    state = (name = "baking"),
    timer = (minutes = 30, transition_to(Sold)),
    event = (name = "ordered", key(cake)),
    {
        /// A bit of everything.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct Cake {
            pub best_before: String,
            pub layers: Vec<Layer>,
            #[serde(default)]
            pub candles: u8,
            pub note: Option<String>,
            pub guests: BTreeMap<u32, NonZeroU32>,
            pub kind: Kind,
            pub size: (f64, f64),
            pub anything: serde_json::Value,
        }
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct Layer {
            cream: bool,
            within: Option<Box<Layer>>,
        }
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub enum Kind {
            Plain,
            Fruit(char),
            Filled { with: String, grams: u64 },
        }
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct Tray {
            pub rack: u8,
        }
    }
);

macro_rules! small {
    ($module:ident, $version:literal, saga = $saga:tt, [$(#[$on_saga:meta])*], state = $state:tt, timer = $timer:tt,
     event = $event:tt, data = {$($data:tt)*}, {$($types:tt)*}) => {
        build!($module, $version, saga = $saga, [$(#[$on_saga])*], state = $state, timer = $timer, event = $event, {
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            pub struct Cake { $($data)* }
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            pub struct Tray {
                pub rack: u8,
            }
            $($types)*
        });
    };
}

small!(plain, 1, saga = (name = "cake", version = 1, data(Cake), actions(CakeActions)), [],
    state = (name = "baking"), timer = (minutes = 30, transition_to(Sold)), event = (name = "ordered", key(cake)),
    data = { pub kilos: u8 }, {});

small!(with_default, 1, saga = (name = "cake", version = 1, data(Cake), actions(CakeActions)), [],
    state = (name = "baking"), timer = (minutes = 30, transition_to(Sold)), event = (name = "ordered", key(cake)),
    data = { pub kilos: u8, #[serde(default)] pub candles: Vec<Candle> },
    { #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)] pub struct Candle { pub lit: bool } });

small!(changed, 1, saga = (name = "cake", version = 1, data(Cake), actions(CakeActions)), [],
    state = (name = "baking"), timer = (minutes = 30, transition_to(Sold)), event = (name = "ordered", key(cake)),
    data = { pub kilos: f64, pub icing: bool }, {});

small!(raised, 2, saga = (name = "cake", version = 2, data(Cake), actions(CakeActions)), [],
    state = (name = "baking"), timer = (minutes = 30, transition_to(Sold)), event = (name = "ordered", key(cake)),
    data = { pub grams: u32 }, {});

small!(upcast, 2, saga = (name = "cake", version = 2, data(Cake), actions(CakeActions)),
    [#[upcast(from = 1, with(in_grams))]],
    state = (name = "baking"), timer = (minutes = 30, transition_to(Sold)), event = (name = "ordered", key(cake)),
    data = { pub grams: u32 },
    { fn in_grams(old: super::plain::Cake) -> Cake { Cake { grams: u32::from(old.kilos) * 1_000 } } });

small!(third, 3, saga = (name = "cake", version = 3, data(Cake), actions(CakeActions)),
[#[upcast(from = 1, with(in_grams, as_text))]],
state = (name = "baking"), timer = (minutes = 30, transition_to(Sold)), event = (name = "ordered", key(cake)),
data = { pub weight: String },
{
    fn in_grams(old: super::plain::Cake) -> super::upcast::Cake {
        super::upcast::Cake { grams: u32::from(old.kilos) * 1_000 }
    }
    fn as_text(old: super::upcast::Cake) -> Cake {
        Cake { weight: format!("{} g", old.grams) }
    }
});

small!(impatient, 3, saga = (name = "cake", version = 3, data(Cake), actions(CakeActions)),
    [#[upcast(from = 2, with(as_text))]],
    state = (name = "baking"), timer = (minutes = 30, transition_to(Sold)), event = (name = "ordered", key(cake)),
    data = { pub weight: String },
    { fn as_text(old: super::upcast::Cake) -> Cake { Cake { weight: format!("{} g", old.grams) } } });

small!(mistaken, 2, saga = (name = "cake", version = 2, data(Cake), actions(CakeActions)),
    [#[upcast(from = 1, with(same))]],
    state = (name = "baking"), timer = (minutes = 30, transition_to(Sold)), event = (name = "ordered", key(cake)),
    data = { pub grams: u32 },
    { fn same(old: super::upcast::Cake) -> Cake { Cake { grams: old.grams } } });

small!(renamed, 1, saga = (name = "tart", was = "cake", version = 1, data(Cake), actions(CakeActions)),
    [], state = (name = "in-the-oven", was = "baking"),
    timer = (minutes = 45, name = "45m", was = "30m", transition_to(Sold)),
    event = (name = "tart.ordered", was = "ordered", key(cake)), data = { pub kilos: u8 }, {});

small!(forgotten, 1, saga = (name = "tart", version = 1, data(Cake), actions(CakeActions)),
    [], state = (name = "in-the-oven"), timer = (minutes = 45, transition_to(Sold)),
    event = (name = "tart.ordered", key(cake)), data = { pub kilos: u8 }, {});

struct Folder {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn folder() -> Folder {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sagas.lock");
    Folder { _folder: folder, path }
}

/// A lock of what the plain build stores.
fn locked() -> Folder {
    let folder = folder();
    plain::lock(&folder.path).write();
    folder
}

#[test]
fn r34_every_stored_name_and_shape_stands_in_the_lock() {
    let folder = folder();
    assert!(!first::lock(&folder.path).is_current());
    first::lock(&folder.path).write();
    insta::assert_snapshot!(std::fs::read_to_string(&folder.path).unwrap());
    assert!(first::lock(&folder.path).is_current());
    first::lock(&folder.path).check();
}

#[test]
fn r34_a_field_that_may_be_missing_loses_nothing() {
    let folder = locked();
    let lock = with_default::lock(&folder.path);
    assert!(lock.losses().is_empty(), "{:?}", lock.losses());
    assert!(!lock.is_current(), "but the lock does not know it yet");
    lock.write();
    // The other way round, what is stored in that field would be.
    assert_eq!(
        plain::lock(&folder.path).losses(),
        [
            "saga `cake` has another shape under the same version: `candles` no longer exists, `candles[]` no longer exists, \
             `candles[].lit` no longer exists; set `version = 2`, and add `#[upcast(from = 1, with(function))]` to the enum"
        ]
    );
}

#[test]
fn r34_another_shape_under_the_same_version_is_a_loss() {
    let folder = locked();
    assert_eq!(
        changed::lock(&folder.path).losses(),
        [
            "saga `cake` has another shape under the same version: `kilos` was u8 and is f64, `icing` is new and not optional; set `version = 2`, and add `#[upcast(from = 1, with(function))]` to the enum"
        ]
    );
}

#[test]
fn r34_an_earlier_version_needs_an_upcast_for_as_long_as_it_stands_in_the_lock() {
    let folder = locked();
    assert_eq!(
        raised::lock(&folder.path).losses(),
        [
            "saga `cake` of version 1 has another shape without an upcast: `kilos` no longer exists, `grams` is new and not optional; add `#[upcast(from = 1, with(function))]` to the enum"
        ]
    );
    let lock = upcast::lock(&folder.path);
    assert!(lock.losses().is_empty(), "{:?}", lock.losses());
    lock.write();
    assert!(lock.is_current());
    let text = std::fs::read_to_string(&folder.path).unwrap();
    assert!(text.contains("saga cake v1\n    .: object\n    kilos: u8\nsaga cake v2\n"), "{text}");
    assert_eq!(raised::lock(&folder.path).losses().len(), 1, "also from now on");
    let back = plain::lock(&folder.path).losses();
    assert!(
        back.contains(
            &"saga `cake` goes back from version 2 to 1: instances with data of the later version would be parked".to_owned()
        ),
        "{back:?}"
    );
}

#[test]
fn r34_an_upcast_must_read_what_was_stored() {
    let folder = locked();
    let told = "saga `cake` of version 1 does not fit the upcast from version";
    let what = "`kilos` no longer exists, `grams` is new and not optional";
    // An upcast from a later version reads another shape, and this one has a mistake in its argument.
    assert_eq!(impatient::lock(&folder.path).losses(), [format!("{told} 2: {what}")]);
    assert_eq!(mistaken::lock(&folder.path).losses(), [format!("{told} 1: {what}")]);
    assert!(third::lock(&folder.path).losses().is_empty());
    upcast::lock(&folder.path).write();
    assert!(third::lock(&folder.path).losses().is_empty());
    assert_eq!(impatient::lock(&folder.path).losses(), [format!("{told} 2: {what}")]);
}

#[test]
fn r34_a_name_that_is_gone_is_a_loss_unless_something_was_called_so() {
    let folder = locked();
    let lock = renamed::lock(&folder.path);
    assert!(lock.losses().is_empty(), "{:?}", lock.losses());
    let losses = forgotten::lock(&folder.path).losses();
    assert_eq!(
        losses,
        [
            "saga `cake` no longer exists: after a rename, add `was = \"cake\"` to the renamed item",
            "state `cake/baking` no longer exists: after a rename, add `was = \"baking\"` to the renamed item",
            "state `cake/cooling` no longer exists: after a rename, add `was = \"cooling\"` to the renamed item",
            "state `cake/sold` no longer exists: after a rename, add `was = \"sold\"` to the renamed item",
            "state `cake/burnt` no longer exists: after a rename, add `was = \"burnt\"` to the renamed item",
            "timer `cake/30m` no longer exists: after a rename, add `was = \"30m\"` to the renamed item",
            "event `ordered` no longer exists: after a rename, add `was = \"ordered\"` to the renamed item",
        ]
    );
    lock.write();
    assert!(lock.is_current(), "under the present names");
    // What they were called stands there too: it may not be forgotten.
    let losses = forgotten::lock(&folder.path).losses();
    assert_eq!(losses[0], "saga `tart` no longer has the earlier name `cake`: add `was = \"cake\"`");
    assert!(losses.contains(
        &"event `tart.ordered` no longer has the earlier name `ordered`: add `was = \"ordered\"`".to_owned()
    ));
}

#[test]
#[should_panic(expected = "saga `cake` has another shape under the same version")]
fn r34_a_check_fails_with_what_would_be_lost() {
    changed::lock(&locked().path).check();
}

#[test]
#[should_panic(
    expected = "is not current; no stored data would be lost; update the file with: SAGA_LOCK=write cargo test"
)]
fn r34_a_check_fails_when_the_lock_is_behind() {
    with_default::lock(&locked().path).check();
}

#[test]
#[should_panic(expected = "the lock file has an invalid line: nonsense")]
fn r34_what_is_no_lock_is_refused() {
    let folder = folder();
    std::fs::write(&folder.path, "nonsense").unwrap();
    plain::lock(&folder.path).check();
}
