"""The data sets that can be fetched by name, as data: a row for each.

Every origin is pinned to one commit, so that its files never change.
"""

from __future__ import annotations

from dataclasses import dataclass

GITHUB = "https://raw.githubusercontent.com"
RMD17 = f"{GITHUB}/andersx/rmd17-npz/4f6bb0a186822c90d47cd98b7a27991fe0b3173b"
MLEARN = f"{GITHUB}/materialsvirtuallab/mlearn/10c427a5480c6281c15c64efaf869b03be04818f"
ALIGNN = f"{GITHUB}/usnistgov/alignn/a8be0bed552ac70c14b8db825a48dbca1d14ad8d"
BOTNET = f"{GITHUB}/davkovacs/BOTNet-datasets/29e6d467317e4b5967b7ea5cbee54de953fa0d45"
MAML = f"{GITHUB}/materialsvirtuallab/maml/f7c0b6f687c994b3bb87a380bffcc1c041781b4d"
ZEO22 = f"{GITHUB}/tysours/Si-ZEO22/ef3624fc7212de76dd1c8dcd00dfd5c6498e04f0"
POLYMLP = f"{GITHUB}/sekocha/pypolymlp/9f47f077006d9471b21a80c90428527d1aff51c9"


@dataclass(frozen=True)
class DataFile:
    """One file of a data set, and what it is made of.

    Attributes
    ----------
    name
        File name. Its stem up to the first dot names its rows in the fingerprints of the set.
    base
        Address that the paths of the sources are relative to, as in a checkout of the origin.
    sources
        Their paths.
    converter
        Which of :data:`ase_geomformer.data.public.get.CONVERTERS` makes the file.
    sha256
        Of the content, as the converter defines it; None where fingerprints of the frames are kept.
    """

    name: str
    base: str
    sources: tuple[str, ...]
    converter: str
    sha256: str | None = None

    @property
    def key(self) -> str:
        return self.name.partition(".")[0]


@dataclass(frozen=True)
class DataSet:
    """A data set.

    Attributes
    ----------
    name
        The folder that its files are put into.
    summary, labels, licence, citation, page
        What it is, in a line; what is labelled, at which level of theory; whose; where to read on.
    files
        Its files.
    """

    name: str
    summary: str
    labels: str
    licence: str
    citation: str
    page: str
    files: tuple[DataFile, ...]


def _rmd17(molecule: str, sha256: str) -> DataFile:
    parts = ("train", "test")
    return DataFile(
        f"rmd17_{molecule}.npz",
        RMD17,
        tuple(f"rmd17-npz/rmd17_{molecule}_{part}_01.npz" for part in parts),
        "rmd17",
        sha256,
    )


def _mlearn(element: str) -> tuple[DataFile, DataFile]:
    # The training sets of Cu and Ni are taken from where their duplicates are known.
    train = (
        DataFile(
            f"{element}_train.xyz.xz",
            ALIGNN,
            (f"alignn/examples/sample_data_ff/mlearn_data/{element}/id_prop.json",),
            "alignn",
        )
        if element in ("Cu", "Ni")
        else DataFile(
            f"{element}_train.xyz.xz", MLEARN, (f"data/{element}/training.json",), "mlearn"
        )
    )
    test = DataFile(f"{element}_test.xyz.xz", MLEARN, (f"data/{element}/test.json",), "mlearn")
    return train, test


def _botnet(folder: str, sums: dict[str, str]) -> tuple[DataFile, ...]:
    return tuple(
        DataFile(f"{stem}.xyz.xz", BOTNET, (f"{folder}/{stem}.xyz",), "copy", sha256)
        for stem, sha256 in sums.items()
    )


def _mgo() -> DataFile:
    folder = "examples/mlp_develop/vasp-single-train-test-datasets-MgO/vaspruns"
    return DataFile(
        "mgo_pbe.npz",
        POLYMLP,
        tuple(
            f"{folder}/{'train' if number % 10 else 'test'}/vasprun-{number:05d}.xml.polymlp"
            for number in range(1, 1001)
        ),
        "mgo",
    )


def _monbtaw(stem: str, groups: str) -> DataFile:
    folder = "mvl_models/pes/MoNbTaW/training"
    return DataFile(
        f"{stem}.xyz.xz", MAML, tuple(f"{folder}/{group}.json" for group in groups.split()), "maml"
    )


def _zeolites(stem: str, topologies: str) -> DataFile:
    return DataFile(
        f"{stem}.xyz.xz", ZEO22, tuple(f"data/{name}.npz" for name in topologies.split()), "zeo22"
    )


# Single metals hot, strained and with surfaces, and solid solutions of two of them.
_MONBTAW = {
    "train": "MoTa_SS MoW_SS Mo_AIMD Mo_Elastic Mo_Surface NbMo_SS NbTa_SS NbW_SS Nb_AIMD "
    "Nb_Elastic Nb_Surface TaW_SS Ta_AIMD Ta_Elastic Ta_Surface W_AIMD W_Elastic W_Surface",
    "test": "MoTa_Test MoW_Test Mo_Test Multinary_Test NbMo_Test NbTa_Test NbW_Test Nb_Test "
    "TaW_Test Ta_Test W_Test",
}
# Framework types of the International Zeolite Association.
_ZEOLITES = {
    "train": "abw aco afi afy aht asv att atv aww bct bik bof bre can csv czp dac dft edi epi etv "
    "gis gme itw jbw joz jry jsn lau los lta ltj mon mrt mtt mvy nab nat nsi oso owe pon ptt pty "
    "pwo rro rte sbn sod sos tho uoe uos wei yug",
    "test_unseen_topologies": "afv bph ewo lov off sfe",
}
# What of each molecule's frames of split 1 converters.rmd17_sum gives.
_RMD17_SUMS = {
    "aspirin": "1e4b32cfb185a3a311e4d39278ee2fcb3bce2eb91dba15dd3e5fae7bf3baef7d",
    "azobenzene": "422c78f52ef9c315230e38d8bb3749e9a5438bc63e8cfe0017039e5486b20d84",
    "benzene": "1eb927508fadfb036ec4b97d691db5f5a79410a4141adce9d1ce9c8d7d60fa02",
    "ethanol": "bb125d1b6068f7c9c4bb56c579ba2da76778fd594aa84e5570477609362a099e",
    "malonaldehyde": "5a0218a11b7e0856e80c935f702110befc7d730fe35b3b63bf4b344209084935",
    "naphthalene": "02a689b20b3782db191739f9d575106c985189f1f1f61950f96884d61f9d630a",
    "paracetamol": "bc07a0118bafaf4f0d72701f915a99b70e2cbfdae1e8dc147a120e5d7a180e2b",
    "salicylic": "52e728f36782ebbfd6b221c202508d5ef6eb4bf0ce7ceb8200c4008fa0162a65",
    "toluene": "3c10ec61f27ab35586800862e13c8db5596cc8b9852f405d779906fc9d06cd91",
    "uracil": "fd3e6ac936b8196f820793371bc4e04d200100de8f2b01067d7e470b4e26a01c",
}
_ACAC_SUMS = {
    "train_300K": "8f5706d6902360555a5be59395612d2afc3489a75688388a58e7275fdad68af3",
    "test_MD_300K": "2291f3186a3cc6a5e05e92952c84a9237ca53f862d78fd3316a769360719ec43",
    "isolated_atoms": "b74f321b453374621b447d65c60979f70df1b7182c8ee0215388b2c574f33823",
}
_ETHANOL_SUMS = {
    "train": "a26a16d8910581fa321fedc3bd3dfe31f2460e8cbfdc7a8f65243f4fd7250dd0",
    "test_MD": "b8726933d5b9083989d8e3cc7013c18e0950cf0cbc6f6cd570fdb9759001031c",
    "isolated_atoms": "a2a662390f31ad623ce493038e680bc34214f88d4432566bf8fbd0761be57583",
}
_BOTNET_PAPER = "Batatia et al., arXiv:2205.06643 (2022)"
_ROWS = (
    DataSet(
        name="rmd17",
        summary="ten organic molecules in the gas phase, 1000 + 1000 frames each (split 1)",
        labels="energies and forces, PBE/def2-SVP",
        licence="CC0-1.0",
        citation="Christensen, von Lilienfeld, Mach. Learn.: Sci. Technol. 1, 045018 (2020)",
        page="https://github.com/andersx/rmd17-npz",
        files=tuple(_rmd17(molecule, sha256) for molecule, sha256 in _RMD17_SUMS.items()),
    ),
    DataSet(
        name="mlearn",
        summary="Si, Ge, Li, Mo, Cu and Ni: crystals strained, hot, with vacancies and surfaces",
        labels="energies, forces and stresses, PBE",
        licence="BSD-3-Clause",
        citation="Zuo et al., J. Phys. Chem. A 124, 731 (2020)",
        page="https://github.com/materialsvirtuallab/mlearn",
        files=tuple(
            file for element in ("Si", "Ge", "Li", "Mo", "Cu", "Ni") for file in _mlearn(element)
        ),
    ),
    DataSet(
        name="mgo_pbe",
        summary="MgO, 64 atoms, strained and displaced, 900 + 100 frames",
        labels="energies, forces and stresses, PBE",
        licence="BSD-3-Clause",
        citation="Seko, J. Appl. Phys. 133, 011101 (2023)",
        page="https://github.com/sekocha/pypolymlp",
        files=(_mgo(),),
    ),
    DataSet(
        name="monbtaw",
        summary="Mo, Nb, Ta, W and their alloys on the bcc lattice, 3308 + 376 frames",
        labels="energies, forces and stresses, PBE",
        licence="BSD-3-Clause",
        citation="Li et al., npj Comput. Mater. 6, 70 (2020)",
        page="https://github.com/materialsvirtuallab/maml",
        files=tuple(_monbtaw(stem, groups) for stem, groups in _MONBTAW.items()),
    ),
    DataSet(
        name="silica_zeolites",
        summary="silica, 55 + 6 zeolite topologies of 30 frames each, 298 to 1000 K",
        labels="energies and forces, PBE-D3(BJ)",
        licence="CC0-1.0",
        citation="Sours, Kulkarni, Si-ZEO22 (2022)",
        page="https://github.com/tysours/Si-ZEO22",
        files=tuple(_zeolites(stem, names) for stem, names in _ZEOLITES.items()),
    ),
    DataSet(
        name="botnet_acac",
        summary="acetylacetone at 300 K, 500 + 650 frames, and isolated atoms",
        labels="energies and forces, PBE+D3/def2-SVP",
        licence="MIT",
        citation=_BOTNET_PAPER,
        page="https://github.com/davkovacs/BOTNet-datasets",
        files=_botnet("dataset_acac", _ACAC_SUMS),
    ),
    DataSet(
        name="botnet_ethanol",
        summary="ethanol, 1000 + 1000 frames, and isolated atoms",
        labels="energies and forces, PBE/def2-SVP",
        licence="MIT",
        citation=_BOTNET_PAPER,
        page="https://github.com/davkovacs/BOTNet-datasets",
        files=_botnet("dataset_ethanol", _ETHANOL_SUMS),
    ),
)
DATA_SETS = {row.name: row for row in _ROWS}
