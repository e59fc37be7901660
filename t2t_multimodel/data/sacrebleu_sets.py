"""Test sets that sacreBLEU knows and downloads; they are kept in `$SACREBLEU`."""

import dataclasses
import pathlib

from t2t_multimodel.data.parallel_text import ParallelText
from t2t_multimodel.errors import UserError


@dataclasses.dataclass(frozen=True)
class SacrebleuSet:
    """A test set of `sacrebleu -t NAME -l PAIR`.

    Args:
        set_name: As sacreBLEU names it, `"wmt19"`.
        languages: Source and target, `"fr-de"`.
    """

    set_name: str
    languages: str

    @property
    def name(self) -> str:
        """The test set in words."""
        return f"sacreBLEU's {self.set_name} {self.languages}"

    def is_downloaded(self) -> bool:
        """Returns whether its files are there."""
        return all(path.is_file() for path in self._paths())

    def files(self) -> ParallelText:
        """Returns its files, downloaded if need be.

        Raises:
            UserError: If they cannot be downloaded.
        """
        from sacrebleu import dataset

        if not self.is_downloaded():
            try:
                dataset.DATASETS[self.set_name].maybe_download()
            # Whatever its download raises, the files are not there; it exits on some.
            except (Exception, SystemExit) as error:
                raise UserError(
                    f"{self.name} cannot be downloaded ({type(error).__name__}: "
                    f"{error}); try again, or get the files by hand"
                ) from None
        source, reference = self._paths()
        return ParallelText(source, reference)

    def _paths(self) -> list[pathlib.Path]:
        """Returns where sacreBLEU unpacks source and reference, WMT's SGML files."""
        import sacrebleu
        from sacrebleu import dataset

        # Not the texts that it makes of them: those keep `&amp;` and the like.
        unpacked = pathlib.Path(sacrebleu.SACREBLEU_DIR) / self.set_name / "raw"
        names = dataset.DATASETS[self.set_name].langpairs[self.languages]
        return [unpacked / name for name in names[:2]]
