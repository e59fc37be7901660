"""The marks of .dot files go, and what was said stays."""

import pytest

from t2t_multimodel.data.wsj_transcripts import normalise, utterances


@pytest.mark.parametrize(
    "line, words",
    [
        ("The sale of the hotels", "the sale of the hotels"),
        # Noises, pauses, cut recordings.
        ("[loud_breath] no [door_slam>] no [<door_slam]", "no no"),
        ("[phone_ring/] hello [/phone_ring]", "hello"),
        ("<NOISE> yes <SPOKEN_NOISE> <UNK>", "yes"),
        ("one . two ~ three ~", "one two three"),
        ("~fter all", "fter all"),
        # Partial words.
        ("the comm(unity)- community", "the community"),
        ("-mercial commercial wh-", "commercial"),
        ("*wh-* <th-> what", "what"),
        # Mispronounced, read by mistake, stressed, drawn out.
        ("*Vinken* <and> and <the new> !no a:nd", "vinken and and the new no and"),
        # Verbal punctuation, escaped or not.
        (r"yes ,COMMA no .PERIOD", "yes comma no period"),
        (r"\,COMMA \"DOUBLE\-QUOTE \(LEFT\-PAREN", "comma double-quote left-paren"),
        (r"\-\-DASH --DASH -HYPHEN \-HYPHEN", "dash dash hyphen hyphen"),
        (
            r"'SINGLE-QUOTE \;SEMI\-COLON ...ELLIPSIS",
            "single-quote semi-colon ellipsis",
        ),
        ("ten %PERCENT two .POINT five", "ten percent two point five"),
        # Escapes, abbreviations, apostrophes, hyphens.
        (r"mother\-in\-law AT\&T twenty-five", "mother-in-law at&t twenty-five"),
        (r"Mr. Corp\. I. B. M.", "mr. corp. i. b. m."),
        ("'Tis the workers' 'em", "'tis the workers' 'em"),
        ("[door_slam] . ~", ""),
        ("", ""),
    ],
)
def test_a_line_is_reduced_to_what_was_said(line, words):
    assert normalise(line) == words


@pytest.mark.parametrize("line", ["yes comma no", "mr. smith's co-chairman", "at&t"])
def test_reduced_lines_stay_as_they_are(line):
    assert normalise(line) == line


def test_lines_are_told_by_the_name_at_their_end():
    lines = ["", "YES (01IC0201)", "a (b) c (46nc0402)  ", "no name at the end"]
    assert list(utterances(lines)) == [
        (2, "01ic0201", "YES"),
        (3, "46nc0402", "a (b) c"),
    ]
