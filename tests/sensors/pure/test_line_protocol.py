"""InfluxDB's line protocol: what is read, what is refused and by which line, and that both ways of reading agree."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from influxdb_client import Point, WritePrecision

from sensors.ingest.formats import line_protocol
from sensors.ingest.naming import BadTemplate, Naming, Template
from sensors.ingest.parsed import MAX_READINGS, MalformedBody, ParsedReadings, TooManyReadings

NOW_US = 1_795_341_600_000_000
TS = NOW_US * 1_000
PLAIN = Naming()

# So many lines are read together, column by column; fewer are read one by one.
MANY = 40


def parse(body: bytes | str, *, naming: Naming = PLAIN, precision: str = "ns") -> ParsedReadings:
    body = body.encode() if isinstance(body, str) else body
    return line_protocol.parse(body, naming=naming, precision=precision, now_us=NOW_US)


def rows(parsed: ParsedReadings) -> list[tuple[int, str, int, float]]:
    keys = [parsed.keys[number] for number in parsed.key_of_row]
    return list(zip(parsed.index.tolist(), keys, parsed.ts_us.tolist(), parsed.values.tolist(), strict=True))


def refusals(parsed: ParsedReadings) -> list[tuple[int, str]]:
    return [(refusal.index, refusal.code) for refusal in parsed.refusals]


def by_template(source: str, *, ignores_text: bool = False) -> Naming:
    return Naming(Template.of(source), ignores_text)


@pytest.fixture(params=["few lines", "many lines"])
def parse_line(request):
    """One line by itself, or the last of many: there are two ways to read, and both must say the same."""
    before = 0 if request.param == "few lines" else MANY

    def read(line: str, **more) -> tuple[list, list]:
        parsed = parse(f"other,site=s,machine=o other=0 {TS}\n" * before + line, **more)
        numbered = [(index - before, *row) for index, *row in rows(parsed) if index > before]
        return numbered, [(index - before, code) for index, code in refusals(parsed) if index > before]

    return read


def test_each_number_of_a_line_is_a_reading():
    parsed = parse(f"pump,site=north,machine=p-7 vibration=4.2,temperature=71i,running=true {TS}\n")
    assert rows(parsed) == [
        (1, "pump/p-7/north/vibration", NOW_US, 4.2),
        (1, "pump/p-7/north/temperature", NOW_US, 71.0),
        (1, "pump/p-7/north/running", NOW_US, 1.0),
    ]
    assert (parsed.units, parsed.historical, parsed.received) == ([None], False, 3)
    assert parsed.quality.tolist() == [0, 0, 0]


def test_lines_are_counted_from_one_with_those_that_say_nothing():
    body = f"# comment\n\n  \nm v=1 {TS}\r\n\t# another\nm v=2 {TS}\n\n"
    assert [row[0] for row in rows(parse(body))] == [4, 6]
    assert [row[0] for row in rows(parse(body + f"m v=3 {TS}\n" * MANY))] == [4, 6, *range(8, 8 + MANY)]


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (rf"a\,b\ c,t=1 v=1 {TS}", "a,b c/1/v"),
        (rf"a=b,t=1 v=1 {TS}", "a=b/1/v"),
        (rf"m,t\ \,\=x=1\ \,\=2 v=1 {TS}", "m/1 ,=2/v"),
        (rf"m f\ \,\=g=1 {TS}", "m/f ,=g"),
        (rf"m\x,t=a\b v=1 {TS}", r"m\x/a\b/v"),
        (rf"m,t=a\\\,b v=1 {TS}", r"m/a\\,b/v"),
        (f'm"x,t="a" "v"=1 {TS}', 'm"x/"a"/"v"'),
        (f"m,b=2,a=1 v=1 {TS}", "m/1/2/v"),
        (f"  m  v=1   {TS}  ", "m/v"),
        (f"Müller,t=Öl v=1 {TS}", "Müller/Öl/v"),
    ],
)
def test_names_are_read_with_their_escapes(parse_line, line, key):
    assert parse_line(line) == ([(1, key, NOW_US, 1.0)], [])


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("4", 4.0),
        ("-4.5", -4.5),
        ("1.", 1.0),
        (".5", 0.5),
        ("007", 7.0),
        ("1e3", 1000.0),
        ("-1.25E-2", -0.0125),
        ("0.1", 0.1),
        ("4i", 4.0),
        ("-007i", -7.0),
        ("9223372036854775807i", float(2**63)),
        ("18446744073709551615u", float(2**64)),
        *((word, 1.0) for word in ("t", "T", "true", "True", "TRUE")),
        *((word, 0.0) for word in ("f", "F", "false", "False", "FALSE")),
    ],
)
def test_numbers_are_written_in_many_ways(parse_line, written, value):
    assert parse_line(f"m v={written} {TS}") == ([(1, "m/v", NOW_US, value)], [])


@pytest.mark.parametrize(
    "written",
    [
        "nan",
        "NaN",
        "inf",
        "-Infinity",
        "1e400",
        "1e101",
        "1_000",
        "0x1f",
        "1,5",
        "abc",
        "tRUE",
        "4ii",
        "4.5i",
        "-4u",
        "9223372036854775808i",
        "-9223372036854775809i",
        "18446744073709551616u",
        "i",
        "-",
        "1e",
        "+1",
        "[1]",
    ],
)
def test_what_is_no_number_is_refused_and_its_neighbours_are_kept(parse_line, written):
    if "," in written:
        assert parse_line(f"m a=1,v={written},b=2 {TS}") == ([], [(1, "invalid_row")])
    else:
        found = parse_line(f"m a=1,v={written},b=2 {TS}")
        assert found == ([(1, "m/a", NOW_US, 1.0), (1, "m/b", NOW_US, 2.0)], [(1, "invalid_value")])


@pytest.mark.parametrize(
    ("written", "precision", "ts_us"),
    [
        (f"{TS + 1_999}", "ns", NOW_US + 1),
        ("-1", "ns", -1),
        ("0", "s", 0),
        (f"{NOW_US}", "us", NOW_US),
        (f"{NOW_US // 1_000}", "ms", NOW_US),
        (f"{NOW_US // 1_000_000}", "s", NOW_US),
        ("-0017", "s", -17_000_000),
        ("9223372036854775807", "ns", 9_223_372_036_854_775),
    ],
)
def test_timestamps_have_the_precision_of_the_request(parse_line, written, precision, ts_us):
    assert parse_line(f"m v=1 {written}", precision=precision)[0] == [(1, "m/v", ts_us, 1.0)]


@pytest.mark.parametrize("precision", ["us", "ms", "s"])
@pytest.mark.parametrize("written", ["9223372036854775807", "-9223372036854775808", f"{TS}0"])
def test_a_timestamp_of_another_precision_is_refused(parse_line, written, precision):
    assert parse_line(f"m v=1 {written}", precision=precision) == ([], [(1, "invalid_timestamp")])


@pytest.mark.parametrize(
    "written", ["1.5", "1e9", "12i", "now", "1_0", "0x1", "2026-11-22T10:00:00Z", "9" * 20, "9" * 5000, "--1"]
)
def test_a_timestamp_that_is_no_whole_number_is_refused(parse_line, written):
    assert parse_line(f"m v=1 {written}") == ([], [(1, "invalid_timestamp")])


def test_a_point_without_a_timestamp_is_of_now():
    assert rows(parse("m v=1")) == [(1, "m/v", NOW_US, 1.0)]
    parsed = parse("m,t=1 a=1,b=2\n" * MANY)
    assert parsed.received == 2 * MANY
    assert set(parsed.ts_us.tolist()) == {NOW_US}


@pytest.mark.parametrize(
    "line",
    [
        "m",
        "m,t=1",
        "m v",
        "m v=",
        "m =1",
        "m v=1,",
        "m ,v=1",
        "m v=1,,w=2",
        f"m v=1 {TS} {TS}",
        f"m v =1 {TS}",
        f",t=1 v=1 {TS}",
        f"m, v=1 {TS}",
        f"m,t v=1 {TS}",
        f"m,t= v=1 {TS}",
        f"m,=1 v=1 {TS}",
        f"m,t=1=2 v=1 {TS}",
        f"m,t=1,t=2 v=1 {TS}",
        f"m v=a=b {TS}",
        f'm v="text {TS}',
        f'm v="text"x {TS}',
        f'm v=te"xt {TS}',
        f"m v=1\0 {TS}\0",
        "{}",
        "=",
        ",",
        "\\",
    ],
)
def test_a_line_that_is_none_is_refused_alone(parse_line, line):
    found, refused = parse_line(f"m a=1 {TS}\n{line}\nm b=2 {TS}")
    assert [row[:2] for row in found] == [(1, "m/a"), (3, "m/b")]
    assert [index for index, _ in refused] == [2]
    assert refused[0][1] in {"invalid_row", "invalid_value", "invalid_timestamp"}


def test_a_line_that_is_not_utf8_is_refused_alone():
    body = b"m,t=\xff v=1 5\nm v\xc0=1 5\nm v=2 5\nm v=\xff 5\n"
    parsed = parse(body)
    assert [row[0] for row in rows(parsed)] == [3]
    assert refusals(parsed) == [(1, "invalid_row"), (2, "invalid_row"), (4, "invalid_value")]
    assert refusals(parse(body + b"m v=2 5\n" * MANY)) == refusals(parsed)


def test_a_refusal_has_the_line_as_it_was_sent():
    lines = ["m v=oops 5", "m,t v=1 5", "m v=1 5s", 'm v="text" 5', "m,x=\x07 v=1 5"]
    assert [refusal.raw for refusal in parse("\n".join(lines)).refusals] == lines
    assert parse("m v=" + "x" * 10_000).refusals[0].raw == "m v=" + "x" * 496


def test_text_is_refused_or_left_out_by_the_naming():
    line = rf'm note="a, b=\"c\" \\",v=1,other="" {TS}'
    parsed = parse(line)
    assert ([row[1] for row in rows(parsed)], refusals(parsed)) == (["m/v"], [(1, "invalid_value")] * 2)

    parsed = parse(line, naming=Naming(ignores_text=True))
    assert ([row[1] for row in rows(parsed)], refusals(parsed)) == (["m/v"], [])


def test_a_text_may_go_on_over_lines():
    parsed = parse(f'm v=1,log="one\ntwo v=2\n\nthree" {TS}\nm v=5 {TS}\n', naming=Naming(ignores_text=True))
    assert [(index, value) for index, _, _, value in rows(parsed)] == [(1, 1.0), (5, 5.0)]
    assert parsed.refusals == []


def test_a_text_that_never_ends_takes_no_other_line_with_it():
    body = f'm log="one {TS}\nm v=2 {TS}\n' * MANY + f'm v=3,log="three" {TS}\n'
    parsed = parse(body, naming=Naming(ignores_text=True))
    assert len(rows(parsed)) == MANY + 1
    assert refusals(parsed) == [(line, "invalid_row") for line in range(1, 2 * MANY, 2)]


def test_one_odd_line_among_many_plain_ones():
    lines = [
        f"pump,machine=p-{number % 7} vibration={number / 7},current={number}i {TS + number}"
        for number in range(999)
    ]
    lines[500] = "pump,machine=p-1 vibration=oops 5"
    lines[700] = rf'pump,machine=p\ 1 note="x y",vibration=7 {TS}'
    parsed = parse("\n".join(lines), naming=Naming(ignores_text=True))

    assert refusals(parsed) == [(501, "invalid_value")]
    assert len(rows(parsed)) == 2 * 997 + 1
    assert parsed.index.tolist() == sorted(parsed.index.tolist())
    assert [row for row in rows(parsed) if row[0] == 701] == [(701, "pump/p 1/vibration", NOW_US, 7.0)]
    assert rows(parsed)[-2:] == [
        (999, "pump/p-4/vibration", (TS + 998) // 1_000, 998 / 7),
        (999, "pump/p-4/current", (TS + 998) // 1_000, 998.0),
    ]


# Naming


def test_a_template_makes_the_key(parse_line):
    line = f"pump,site=north,machine=p-7,host=x vibration=4.2,temperature=71 {TS}"
    found, _ = parse_line(line, naming=by_template("{site}/{machine}/{field}"))
    assert [row[1] for row in found] == ["north/p-7/vibration", "north/p-7/temperature"]
    found, _ = parse_line(line, naming=by_template("{measurement}.{field}@{site}-{site}!"))
    assert [row[1] for row in found] == ["pump.vibration@north-north!", "pump.temperature@north-north!"]


def test_a_line_without_a_tag_of_the_template_is_refused(parse_line):
    found = parse_line(f"pump,site=north a=1,b=2 {TS}", naming=by_template("{site}/{machine}/{field}"))
    assert found == ([], [(1, "missing_tag"), (1, "missing_tag")])


def test_the_points_own_words_go_before_tags_of_that_name():
    assert (
        rows(parse("m,field=x,measurement=y v=1", naming=by_template("{measurement}/{field}")))[0][1] == "m/v"
    )


def test_a_template_without_field_takes_one_number_a_line(parse_line):
    naming = by_template("{machine}", ignores_text=True)
    assert parse_line(f'm,machine=p note="x",value=1 {TS}', naming=naming) == ([(1, "p", NOW_US, 1.0)], [])
    assert parse_line(f"m,machine=p a=1,b=2 {TS}", naming=naming) == ([], [(1, "ambiguous_field")])


@pytest.mark.parametrize("tag", ["x" * 201, "x\u0007", "x\u0085", "y" * 100_000])
def test_what_makes_no_sensor_key_is_refused(parse_line, tag):
    assert parse_line(f"m,t={tag} v=1 {TS}") == ([], [(1, "invalid_sensor")])
    assert parse_line(f"m,t={tag} v=1 {TS}", naming=by_template("{t}/{t}/{field}")) == (
        [],
        [(1, "invalid_sensor")],
    )


@pytest.mark.parametrize(
    "source", ["", "pump", "{", "}", "{a", "a}", "{}", "{ }", "{a}}", "{{a}}", "{a{b}}", "{ a }", "{a\n}"]
)
def test_a_bad_template_says_why(source):
    with pytest.raises(BadTemplate) as caught:
        Template.of(source)
    assert str(caught.value).endswith((".", "braces."))


def test_a_tag_may_have_any_name_in_a_template():
    naming = by_template("{machine id}/{Größe}/{field}")
    assert rows(parse(r"m,machine\ id=7,Größe=9 v=1", naming=naming))[0][1] == "7/9/v"


def test_namings_of_two_keys_do_not_mix():
    for naming, key in (
        (by_template("{a}-{field}"), "1-v"),
        (by_template("{b}-{field}"), "2-v"),
        (PLAIN, "m/1/2/v"),
    ):
        assert rows(parse(f"m,a=1,b=2 v=1 {TS}\n" * MANY, naming=naming))[0][1] == key


# Bounds


@pytest.mark.parametrize("body", [b"", b"\n", b" \r\n\t\n"])
def test_an_empty_body_is_malformed(body):
    with pytest.raises(MalformedBody):
        parse(body)


def test_comments_alone_are_no_readings():
    assert parse("# nothing\n").received == 0


@pytest.mark.parametrize(
    "body",
    [
        "m v=1 5\n" * MAX_READINGS,
        "m " + ",".join(f"f{number}=1" for number in range(MAX_READINGS)) + " 5",
        "m " + ",".join(f"f{number}=1" for number in range(MAX_READINGS)) + "  5",
        "oops\n" * MAX_READINGS,
        'm v="x"\n' * MAX_READINGS,
    ],
    ids=lambda body: body[:12],
)
def test_ten_thousand_readings_are_taken_and_no_more(body):
    assert parse(body).received == MAX_READINGS
    with pytest.raises(TooManyReadings):
        parse(body.rstrip("\n") + "\n" + body[:9].split("\n")[0] + ("=1" if body.startswith("m f0") else ""))


@pytest.mark.parametrize(
    "body",
    [
        b"\n" * 10**6,
        b"m " + b"a=1," * 10**6,
        b"m a=x" + b",a=x" * 10**6,
        b"m," + b"a=b," * 10**6 + b"a=b v=1",
        b"m v=1\n" * 20000,
        b'm v="\n' * 20000 + b"x",
    ],
    ids=lambda body: str(body[:12]),
)
def test_far_too_much_is_refused(body):
    with pytest.raises((TooManyReadings, MalformedBody)):
        parse(body)


@pytest.mark.parametrize(
    "body",
    [
        b"m" * 10**7,
        b"m v=" + b"1" * 10**7,
        b"m " + b"\\" * 10**7,
        b'm v="' + b'\\"' * 10**6,
        b"m v=1" + b" " * 10**7,
        b"m," + b"t" * 10**6 + b"=1 " + b",".join(b"f%d=1" % n for n in range(9000)),
        b'm v="' + b"x\n" * 5000 + b'm v="\n' * 4000,
    ],
    ids=lambda body: str(body[:12]),
)
def test_a_huge_line_is_refused_or_read_like_a_small_one(body):
    parsed = parse(body)
    assert 1 <= parsed.received <= MAX_READINGS


# Properties

NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12).filter(
    lambda name: not name.endswith("\\")
)
NUMBERS = st.one_of(
    st.floats(-1e100, 1e100, allow_nan=False), st.integers(-(2**63), 2**63 - 1), st.booleans()
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@st.composite
def points(draw) -> tuple[Point, dict[str, float], str]:
    """What the official client makes of names and values; the numbers by their fields; and the stem of their keys."""
    measurement = draw(NAMES.filter(lambda name: not name.startswith("#")))
    tags = draw(st.dictionaries(NAMES, NAMES, max_size=3))
    fields = draw(st.dictionaries(NAMES, st.one_of(NUMBERS, TEXTS), min_size=1, max_size=5))
    point = Point(measurement).time(draw(st.integers(-(2**62), 2**62)), WritePrecision.NS)
    for name, value in tags.items():
        point.tag(name, value)
    for name, value in fields.items():
        point.field(name, value)
    numbers = {name: float(value) for name, value in fields.items() if not isinstance(value, str)}
    return point, numbers, "/".join([measurement, *(tags[name] for name in sorted(tags)), ""])


@given(st.lists(points(), min_size=1, max_size=4), st.sampled_from([1, MANY]))
def test_what_the_official_client_writes_is_read_as_it_was_meant(drawn, times):
    body = "\n".join(point.to_line_protocol() for point, _, _ in drawn * times)
    parsed = parse(body, naming=Naming(ignores_text=True))

    meant = [
        (stem + name, point._time // 1_000, value)
        for point, numbers, stem in drawn * times
        for name, value in sorted(numbers.items())
    ]
    assert sorted(row[1:] for row in rows(parsed)) == sorted(meant)
    assert parsed.refusals == []


@given(
    st.lists(
        st.lists(
            st.sampled_from(
                [
                    "m",
                    "n",
                    "v=1",
                    "w=2i",
                    " ",
                    " ",
                    ",",
                    "=",
                    "\\",
                    "#",
                    "\t",
                    "t",
                    "-",
                    "5",
                    ".5",
                    "\x00",
                    "é",
                ]
            ),
            max_size=9,
        ).map("".join)
        | st.sampled_from(["m v=1 5", "m,t=1 v=2,w=3 6", "m,t=1 v=t 7", "n v=1"]),
        max_size=8,
    ),
    st.sampled_from([PLAIN, by_template("{t}/{field}"), by_template("{t}")]),
)
@example([" # v=1"], PLAIN)
@example([" #v=1 5"], PLAIN)
def test_lines_are_read_together_as_they_are_one_by_one(lines, naming):
    lines += ["m,t=1 v=1 5"] * MANY
    together = parse("\n".join(lines), naming=naming)
    alone = {line: parse(f"{line}\n#", naming=naming) for line in lines}
    numbered = list(enumerate(lines, start=1))
    assert rows(together) == [(number, *row[1:]) for number, line in numbered for row in rows(alone[line])]
    assert refusals(together) == [
        (number, code) for number, line in numbered for _, code in refusals(alone[line])
    ]


@given(
    st.binary(max_size=300)
    | st.lists(
        st.sampled_from(
            [b"m", b" ", b",", b"=", b"\\", b'"', b"\n", b"#", b"1", b"i", b".", b"\xff", b"\r", b"m v=1 5\n"]
        ),
        max_size=120,
    ).map(b"".join),
    st.sampled_from(line_protocol.PRECISIONS),
    st.sampled_from([PLAIN, by_template("{m}/{field}", ignores_text=True)]),
)
def test_no_bytes_raise_anything_else(body, precision, naming):
    for read in (body, body + b"\n" + b"m,m=1 v=1 5\n" * MANY):
        try:
            parsed = parse(read, precision=precision, naming=naming)
        except (MalformedBody, TooManyReadings):
            continue
        assert len(parsed.values) == len(parsed.ts_us) == len(parsed.key_of_row) == len(parsed.index)
        assert all(math.isfinite(value) for value in parsed.values.tolist())
        assert all(0 <= number < len(parsed.keys) for number in parsed.key_of_row.tolist())
