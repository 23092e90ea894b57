"""Opening XML files without trusting them: no entities, no document types, nothing fetched."""

from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

from forecasting.errors import DataError


def parse_xml(path: Path) -> ElementTree.Element:
    """The root element of an XML file.

    Raises:
        DataError: if it is missing, not well formed, or declares a document type or entities (which can expand without
            end, or fetch other files); names the line.
    """
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartElementHandler = lambda name, attributes: builder.start(name.rpartition("}")[2], attributes)
    parser.EndElementHandler = lambda name: builder.end(name.rpartition("}")[2])
    parser.CharacterDataHandler = builder.data

    def refuse(*_: object) -> None:
        raise DataError(
            f"{path}: line {parser.CurrentLineNumber}: a document type or entity is declared, which is refused because "
            "entities can grow without end; remove the declaration"
        )

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        with path.open("rb") as file:
            parser.ParseFile(file)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; check the path") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise DataError(f"{path}: not well-formed XML ({error}); the file is damaged or cut") from None
    return builder.close()
