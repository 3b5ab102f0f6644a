"""A condition holds where Python would say so, runs nothing, and tells what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import synthetic_episodes

from parrot_data.errors import UserError
from parrot_data.stores.entries import EpisodeEntry, entry_of
from parrot_data.stores.where import wanted

ENTRIES = [entry_of(episode) for episode in synthetic_episodes(40)]


def places(text: str, entries: list[EpisodeEntry] = ENTRIES) -> list[int]:
    is_wanted = wanted(text, lambda: iter(entries))
    assert len(is_wanted) == len(entries)
    return [place for place, holds in enumerate(is_wanted) if holds]


def expected(holds: Callable[[EpisodeEntry], bool]) -> list[int]:
    found = [place for place, entry in enumerate(ENTRIES) if holds(entry)]
    assert 0 < len(found) < len(ENTRIES)
    return found


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("success", lambda e: e.success),
        ("not success", lambda e: not e.success),
        ('task == "pick" and success and num_steps < 20',
         lambda e: e.task == "pick" and e.success and e.num_steps < 20),
        ("task != 'pick' or num_steps >= 30", lambda e: e.task != "pick" or e.num_steps >= 30),
        ("5 < num_steps <= 17", lambda e: 5 < e.num_steps <= 17),
        ("not (success or terminated)", lambda e: not (e.success or e.terminated)),
        ("failure in ['dropped', 'lost']", lambda e: e.failure == "dropped"),
        ("failure not in ('dropped', '')", lambda e: e.failure not in ("dropped", "")),
        ('"object-é-1" in facts.objects', lambda e: "object-é-1" in e.facts["objects"]),
        ('facts["container"] == "bowl"', lambda e: e.facts["container"] == "bowl"),
        ("facts.container == None", lambda e: e.facts["container"] is None),
        ('"ow" in facts.container', lambda e: e.facts["container"] == "bowl"),
        ("facts.container > 'a'", lambda e: e.facts["container"] is not None),
        ("index > -1 and index < 7 and facts.size_m == 0.125", lambda e: e.index < 7),
        ("(success) == True", lambda e: e.success),
        ("  success  ", lambda e: e.success),
    ],
)  # fmt: skip
def test_a_condition_holds_where_it_says(text: str, holds: Callable) -> None:
    assert places(text) == expected(holds)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("speed > 3", "nothing is called speed"),
        ("facts.colour == 'red'", "no episode has facts.colour"),
        ("facts.objects.first == 'red'", "no episode has facts.objects.first"),
        ("success and facts.colour", "no episode has facts.colour"),
        ("task > 3", "of episode 0, task > 3 compares a text with a number"),
        ("success == 1", "compares true or false with a number"),
        ("facts.size_m == '0.125'", "compares a number with a text"),
        ("success < True", "compares true or false with true or false"),
        ("'a' in num_steps", "looks for a text in a number, and not in a list"),
        ("3 in task", "looks for a number in a text"),
        ("task", "task is a text, and not true or false"),
        ("num_steps and success", "num_steps is a number, and not true or false"),
        ("success and", "cannot be read"),
        ("", "cannot be read"),
        ("success\0", "cannot be read"),
        ("num_steps + 1 > 3", "num_steps + 1 is no part of it"),
        ("len(task) > 3", "len(task) is no part of it"),
        ("success is True", "is no part of it"),
        ("task.upper == 'PICK'", "task.upper is no fact"),
        ("[x for x in facts.objects] == []", "is no part of it"),
        ("(lambda: True)()", "is no part of it"),
        ("1j == 1", "is no part of it"),
        ("(success := True)", "is no part of it"),
        ("f'{task}' == 'pick'", "is no part of it"),
        ("not " * 60 + "success", "nested too deeply"),
        ("(" * 900 + "success" + ")" * 900, "cannot be read"),
        ("1+" * 900 + "1", "is no part of it"),
        ("x" + ".a" * 900 + " == 1", "is no fact"),
        ("success or " * 200 + "success", "more than 2000 letters"),
        ("num_steps > 1000", "it holds for none of 40 episodes"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence_with_the_names_there_are(text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        places(text)
    sentence = str(caught.value)
    assert said in sentence
    assert "\n" not in sentence
    assert "task, success, failure, terminated, num_steps, index, facts.container, " in sentence


def test_nothing_is_run(capfd: pytest.CaptureFixture[str]) -> None:
    for text in ("__import__('os').system('echo run')", "print('run') or success"):
        with pytest.raises(UserError, match="is no part of it"):
            places(text)
    assert capfd.readouterr().out == ""


def test_an_episode_without_a_fact_that_others_have_is_no_mistake() -> None:
    def entries() -> Iterator[EpisodeEntry]:
        yield from ENTRIES[:3]
        yield EpisodeEntry(3, "pick", True, "", False, 5, {"scene": {"size": 2}}, "0" * 64)

    assert list(wanted("facts.scene.size == 2", entries)) == [0, 0, 0, 1]
    assert list(wanted("facts.scene.size > 1", entries)) == [0, 0, 0, 1]
    assert list(wanted("facts.scene.size == None", entries)) == [1, 1, 1, 0]
    assert list(wanted("not facts.scene.size > 1", entries)) == [1, 1, 1, 0]


ATOMS = st.sampled_from(
    ["success", "terminated", "num_steps < 10", "task == 'pick'", "index in [1, 2, 30]"]
)
CONDITIONS = st.recursive(
    ATOMS,
    lambda inner: (
        st.builds("({} and {})".format, inner, inner)
        | st.builds("({} or {})".format, inner, inner)
        | st.builds("not {}".format, inner)
    ),
    max_leaves=8,
)


@given(CONDITIONS)
def test_any_condition_means_what_it_means_in_python(text: str) -> None:
    names = ("task", "success", "terminated", "num_steps", "index")
    code = compile(text, "condition", "eval")
    holds = [eval(code, {n: getattr(e, n) for n in names}) for e in ENTRIES]
    if any(holds):
        assert places(text) == [place for place, each in enumerate(holds) if each]
    else:
        with pytest.raises(UserError, match="holds for none"):
            places(text)
