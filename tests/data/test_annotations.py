from __future__ import annotations

import json
from pathlib import Path

import pytest

from fgbench.data.annotations import box, field, read_json, read_json_array, read_json_lines, read_lines, strings
from fgbench.errors import DataError


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "file.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


class TestFiles:
    def test_a_byte_order_mark_is_no_content(self, tmp_path: Path) -> None:
        assert read_json(written(tmp_path, b'\xef\xbb\xbf{"a": 1}')) == {"a": 1}
        assert [line for _, line in read_lines(written(tmp_path, b"\xef\xbb\xbfa\nb"))] == ["a", "b"]

    def test_windows_line_ends_are_no_content(self, tmp_path: Path) -> None:
        path = written(tmp_path, 'a \r\n"b"\r\n')
        assert list(read_lines(path)) == [(f"{path}:1", "a "), (f"{path}:2", '"b"'), (f"{path}:3", "")]

    @pytest.mark.parametrize("separator", ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
    def test_other_separators_belong_to_the_text(self, tmp_path: Path, separator: str) -> None:
        line = f"one{separator}two"
        assert [found for _, found in read_lines(written(tmp_path, f"{line}\nthree"))] == [line, "three"]

    def test_a_file_of_another_encoding_is_refused_with_the_place(self, tmp_path: Path) -> None:
        path = written(tmp_path, b'{"a": "' + "中文".encode("gb18030") + b'"}')
        with pytest.raises(DataError, match=rf"{path}: not UTF-8 \(byte 7\)"):
            read_json(path)

    def test_utf_16_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="not UTF-8"):
            list(read_lines(written(tmp_path, "text".encode("utf-16"))))

    @pytest.mark.parametrize("name", ["absent.json", ""])
    def test_a_file_that_cannot_be_read_is_named(self, tmp_path: Path, name: str) -> None:
        """The second is a folder."""
        with pytest.raises(DataError, match=rf"{tmp_path / name}: cannot be read \(.+\)"):
            read_json(tmp_path / name)


class TestJson:
    def test_a_mistake_is_named_with_file_line_and_column(self, tmp_path: Path) -> None:
        path = written(tmp_path, '{"a": 1,\n "b": oops,\n "c": 3}')
        with pytest.raises(DataError, match=rf"{path}: not valid JSON at line 2 column 7") as caught:
            read_json(path)
        assert "cut off" not in str(caught.value)

    @pytest.mark.parametrize("end", [1, 5, 8, 20, 33, 45, -1])
    def test_a_file_that_ends_too_early_is_called_cut_off(self, tmp_path: Path, end: int) -> None:
        complete = '{"images": [{"id": 1}], "text": "a caption", "more": [1, 2]}'
        with pytest.raises(DataError, match="cut off"):
            read_json(written(tmp_path, complete[:end]))

    def test_an_empty_file_is_no_json(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="not valid JSON"):
            read_json(written(tmp_path, ""))

    @pytest.mark.parametrize("opening", ["[", '{"a":'])
    def test_deep_nesting_is_refused(self, tmp_path: Path, opening: str) -> None:
        with pytest.raises(DataError, match="nested too deeply"):
            read_json(written(tmp_path, opening * 200_000))

    def test_an_absurdly_long_number_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="not valid JSON"):
            read_json(written(tmp_path, '{"id": ' + "1" * 10_000 + "}"))


class TestJsonLines:
    def test_rows_come_with_their_place_and_blank_lines_are_passed_over(self, tmp_path: Path) -> None:
        path = written(tmp_path, '{"a": 1}\n\n  \n{"a": 2}\n')
        assert list(read_json_lines(path)) == [(f"{path}:1", {"a": 1}), (f"{path}:4", {"a": 2})]

    @pytest.mark.parametrize(("line", "found"), [("[1]", "a list"), ("null", "nothing"), ("3", "an integer")])
    def test_a_line_that_is_no_object_is_named(self, tmp_path: Path, line: str, found: str) -> None:
        path = written(tmp_path, f"{{}}\n{line}\n")
        with pytest.raises(DataError, match=rf"{path}:2: expected one JSON object per line, found {found}"):
            list(read_json_lines(path))

    def test_a_broken_line_is_named_by_file_and_line(self, tmp_path: Path) -> None:
        path = written(tmp_path, '{}\n{}\n{"a" 1}\n{}')
        with pytest.raises(DataError, match=rf"{path}:3: not valid JSON at column 6"):
            list(read_json_lines(path))

    def test_rows_before_a_broken_line_are_given_out(self, tmp_path: Path) -> None:
        rows = read_json_lines(written(tmp_path, '{"a": 1}\n{'))
        assert next(rows)[1] == {"a": 1}

    def test_half_a_last_line_is_called_cut_off(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r":2: .*cut off"):
            list(read_json_lines(written(tmp_path, '{"pos": ["a pipe"]}\n{"pos": ["a pi')))


class TestJsonArray:
    """More in test_json_array.py."""

    @pytest.mark.parametrize(
        ("row", "message"),
        [("[" * 200_000, "nested too deeply"), ('{"a": ' + "1" * 10_000 + "}", "row 0: not valid JSON")],
        ids=["brackets", "digits"],
    )
    def test_what_the_parser_refuses_is_a_data_error(self, tmp_path: Path, row: str, message: str) -> None:
        with pytest.raises(DataError, match=message):
            list(read_json_array(written(tmp_path, f"[{row}]"), block=8))


class TestField:
    def test_a_field_of_the_right_type_is_given_as_it_is(self) -> None:
        row = {"a": "x", "b": 3, "c": 2.5, "d": [1], "e": {"f": 1}}
        assert field(row, "a", str, "here") == "x"
        assert field(row, "b", int, "here") == 3
        assert field(row, "c", float, "here") == 2.5
        assert field(row, "d", list, "here") == [1]
        assert field(row, "e", dict, "here") == {"f": 1}

    def test_an_absent_field_is_named_with_the_present_ones(self) -> None:
        with pytest.raises(DataError, match="here: field 'bbox' is missing; present are 'id', 'box'"):
            field({"id": 1, "box": []}, "bbox", list, "here")
        with pytest.raises(DataError, match="present are none"):
            field({}, "bbox", list, "here")

    @pytest.mark.parametrize(
        ("value", "kind", "message"),
        [
            ("3", int, "should be an integer, found a string"),
            (3, str, "should be a string, found an integer"),
            (2.0, int, "should be an integer, found a number"),
            (None, str, "should be a string, found nothing"),
            ({}, list, "should be a list, found an object"),
            ("x", float, "should be a number, found a string"),
        ],
    )
    def test_a_field_of_another_type_is_named(self, value: object, kind: type, message: str) -> None:
        with pytest.raises(DataError, match=f"a.json:7: field 'x' {message}"):
            field({"x": value}, "x", kind, "a.json:7")

    @pytest.mark.parametrize("kind", [int, float])
    def test_a_boolean_is_no_number(self, kind: type) -> None:
        with pytest.raises(DataError, match="field 'id' should be"):
            field({"id": True}, "id", kind, "here")

    def test_an_integer_is_a_number(self) -> None:
        found = field({"x": 3}, "x", float, "here")
        assert (found, type(found)) == (3.0, float)

    @pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**400], ids=["large", "small", "huge"])
    @pytest.mark.parametrize("kind", [int, float])
    def test_a_whole_number_that_no_array_can_hold_is_refused(self, value: int, kind: type) -> None:
        with pytest.raises(DataError, match="here: field 'id'"):
            field({"id": value}, "id", kind, "here")

    def test_a_default_stands_in_for_an_absent_field_only(self) -> None:
        assert field({}, "x", int, "here", 5) == 5
        assert field({}, "x", str, "here", "") == ""
        assert field({"x": 0}, "x", int, "here", 5) == 0
        with pytest.raises(DataError, match="found nothing"):
            field({"x": None}, "x", int, "here", 5)

    def test_half_a_surrogate_pair_is_no_text(self) -> None:
        with pytest.raises(DataError, match="'caption' has a lone surrogate"):
            field(json.loads('{"caption": "\\ud83d"}'), "caption", str, "here")
        assert field(json.loads('{"caption": "\\ud83d\\ude00"}'), "caption", str, "here") == "😀"

    def test_a_long_wrong_value_is_not_quoted_in_full(self) -> None:
        with pytest.raises(DataError) as caught:
            field({"x": "y" * 10_000}, "x", int, "here")
        assert len(str(caught.value)) < 200


class TestStringsAndBoxes:
    def test_a_list_of_strings_is_given_as_it_is(self) -> None:
        assert strings({"x": ["a", ""]}, "x", "here") == ["a", ""]
        assert strings({"x": []}, "x", "here") == []

    def test_the_first_wrong_entry_is_named(self) -> None:
        with pytest.raises(DataError, match=r"here: field 'x'\[1\] should be a string, found an integer \(2\)"):
            strings({"x": ["a", 2]}, "x", "here")
        with pytest.raises(DataError, match=r"field 'x\[0\]' has a lone surrogate"):
            strings({"x": ["\ud83d"]}, "x", "here")

    def test_a_box_becomes_four_floats(self) -> None:
        found = box({"bbox": [1, 2.5, -3, 0]}, "here")
        assert found == (1.0, 2.5, -3.0, 0.0)
        assert {type(value) for value in found} == {float}

    @pytest.mark.parametrize("value", [[1, 2, 3], [1, 2, 3, 4, 5], [1, 2, 3, "4"], [1, 2, True, 4], [[1], 2, 3, 4]])
    def test_what_is_no_box_is_named(self, value: list[object]) -> None:
        with pytest.raises(DataError, match=r"here: field 'bbox' should be \[x, y, width, height\]"):
            box({"bbox": value}, "here")

    def test_a_box_of_absurd_numbers_is_refused(self) -> None:
        with pytest.raises(DataError, match="here: field 'bbox'"):
            box({"bbox": [10**400, 0, 1, 1]}, "here")
