"""Dataset CSV files of Neural Network Console: header, labels, paths, and what is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytorch_grad_cam.nnc.dataset_csv import Column, DatasetCsv, Labels, write_dataset


def dataset(folder: Path, text: str, encoding: str = "utf-8") -> DatasetCsv:
    (folder / "d.csv").write_bytes(text.encode(encoding))
    return DatasetCsv(folder / "d.csv")


@pytest.mark.parametrize(
    ("cell", "name", "index", "label"),
    [
        ("x:image", "x", None, "image"),
        ("x", "x", None, ""),
        ("y__0:cat", "y", 0, "cat"),
        ("y'__12", "y'", 12, ""),
        ("y_1:a:b", "y_1", None, "a:b"),
        ("my__x:image", "my__x", None, "image"),
        ("# y:remark", "", None, "# y:remark"),
    ],
)
def test_a_header_cell(cell: str, name: str, index: int | None, label: str) -> None:
    assert Column.parse(cell) == Column(name, index, label)


def test_rows_are_read_as_spreadsheets_write_them(tmp_path: Path) -> None:
    text = '#note,x:image,y:shape\r\n"two\r\nlines",a.png,1\r\n\r\n"a ""b"", c",sub\\b.png,0\r\n'
    found = dataset(tmp_path, text, "utf-8-sig")
    assert found.header == ("#note", "x:image", "y:shape")
    assert found.count() == 2
    rows = list(found.rows())
    assert [(row.index, row.line, row.cells[0]) for row in rows] == [(0, 3, "two\r\nlines"), (1, 5, 'a "b", c')]
    assert [row.index for row in found.rows(start=1)] == [1]
    assert found.file(rows[1].cells[1]) == str(tmp_path / "sub" / "b.png")
    assert found.positions("x") == [1]
    with pytest.raises(ValueError, match="has 2 cells, the header 3"):
        found.checked(rows[0].__class__(0, 2, ("a", "b")))


def test_a_variable_in_several_columns_is_ordered_by_index(tmp_path: Path) -> None:
    assert dataset(tmp_path, "y__1:b,x,y__0:a\n").positions("y") == [2, 0]
    for header in ("y,y__0\n", "y__0,y__2\n", "y,y\n", "y__0,y__0\n"):
        with pytest.raises(ValueError, match="contradict each other"):
            dataset(tmp_path, header).positions("y")
    with pytest.raises(ValueError, match="no variable 'y'; its variables are x, z"):
        dataset(tmp_path, "x,#y,z__0,z__1\n").positions("y")


def test_files_that_are_no_dataset(tmp_path: Path) -> None:
    for text, message in (("", "is empty"), ("\n\n", "is empty"), (",,\n", "is empty")):
        with pytest.raises(ValueError, match=message):
            dataset(tmp_path, text)
    with pytest.raises(ValueError, match="not UTF-8"):
        dataset(tmp_path, "x,é\n", "latin-1")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        DatasetCsv(tmp_path / "missing.csv")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        DatasetCsv(tmp_path)


def labels_of(found: DatasetCsv, classes: int) -> list[int | str]:
    labels = Labels(found, "y", classes)
    result: list[int | str] = []
    for row in found.rows():
        try:
            result.append(labels(row))
        except (ValueError, OSError) as error:
            result.append(str(error))
    return result


def test_labels_are_integers_or_files_with_a_vector(tmp_path: Path) -> None:
    (tmp_path / "column.csv").write_text("0\n0\n1\n")
    (tmp_path / "line.csv").write_bytes(b"\xef\xbb\xbf0, 0.9, 0.1\r\n")
    (tmp_path / "one.csv").write_text("2\n")
    (tmp_path / "short.csv").write_text("0\n1\n")
    (tmp_path / "flat.csv").write_text("1,1,0")
    (tmp_path / "words.csv").write_text("a,b,c")
    (tmp_path / "image.csv").write_bytes(bytes(range(128, 256)))
    cells = ["2", "0.0", " 1 ", "column.csv", ".\\line.csv", "one.csv", "3", "-1", "1.5", "nan", "", "short.csv"]
    cells += ["flat.csv", "words.csv", "image.csv", "no.csv"]
    found = dataset(tmp_path, "x,y:label\n" + "".join(f"a.png,{cell}\n" for cell in cells))
    good, bad = labels_of(found, 3)[:6], labels_of(found, 3)[6:]
    assert good == [2, 0, 1, 2, 1, 2]
    for text, message in zip(
        bad,
        (
            "label 3 is no class of the network, 0 to 2",
            "label -1 is no class",
            "label 1.5 is no class",
            "label nan is no class",
            "is empty",
            "has 2 elements, the network 3 outputs",
            "marks no class",
            "the element 'a', which is no number",
            "no CSV file with a vector",
            "neither a number nor a file",
        ),
        strict=True,
    ):
        assert message in str(text)


def test_labels_in_a_column_per_class(tmp_path: Path) -> None:
    found = dataset(tmp_path, "y__0:a,x,y__1:b\n0,a.png,1\n0.7,a.png,0.3\n1,a.png,1\n1,a.png,dog\n")
    first, second, third, fourth = labels_of(found, 2)
    assert (first, second) == (1, 0)
    assert "marks no class" in str(third)
    assert "no number" in str(fourth)
    assert "2 elements, the network 3 outputs" in str(labels_of(found, 3)[0])


def test_one_output_has_one_class_whatever_the_label(tmp_path: Path) -> None:
    assert labels_of(dataset(tmp_path, "x,y\na.png,1\nb.png,0\n"), 1) == [0, 0]
    assert labels_of(dataset(tmp_path, "x\na.png\n"), 1) == [0]


def test_copied_cells_name_the_same_files_from_another_folder(tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for name in ("a.png", "sub/b.png", "1"):
        (tmp_path / "in" / name).write_text("")
    text = f"#x,x,y,z\na.png,.\\sub\\b.png,1,missing.png\na.png,{tmp_path}/in/a.png,a.png,\n"
    found = dataset(tmp_path / "in", text)
    first, second = found.rows()

    def copied(folder: str) -> list[list[str]]:
        given, cells = zip(*found.copied(tmp_path / folder), strict=True)
        assert given == (first, second)
        return list(cells)

    assert copied("out/deep")[0] == ["a.png", "../../in/sub/b.png", "1", "missing.png"]
    assert copied("out")[1] == ["a.png", f"{tmp_path}/in/a.png", "../in/a.png", ""]
    assert copied("in")[0] == list(first.cells)
    (tmp_path / "same").symlink_to(tmp_path / "in")
    assert copied("same")[0] == list(first.cells)


def test_a_dataset_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "o.csv"
    write_dataset(path, ["gradcam", "x:é"], iter([["a", 'say "x", y'], ["b", "line\nbreak"]]))
    assert path.read_bytes() == 'gradcam,x:é\na,"say ""x"", y"\nb,"line\nbreak"\n'.encode()

    def failing():  # type: ignore[no-untyped-def]
        yield ["c", "d"]
        raise KeyError

    before = path.read_bytes()
    with pytest.raises(KeyError):
        write_dataset(path, ["gradcam", "x"], failing())
    assert path.read_bytes() == before
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot write"):
        write_dataset(tmp_path / "file" / "o.csv", ["a"], [])
