"""The words that are asked about: names of persons by what they do, and traits of persons.

All lists are the project's own.  Left out are words whose meaning has a gender (king, widow),
compounds with -man and -woman, and words that are mostly something else (general, cook, guard).

The only figures are percentages of women by occupation in the United States: facts of the
Bureau of Labor Statistics, Current Population Survey, table 11, annual averages 2015 (some 2016),
rounded.  Which row of that table an occupation is, was decided by Rudinger et al.,
arXiv:1804.09301, for their Winogender schemas.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Kind = Literal["person", "trait"]

_FEMALE = (
    "she her hers herself woman women girl girls lady ladies mother mothers daughter daughters"
    " wife wives sister sisters mrs miss madam"
)
_MALE = (
    "he him his himself man men boy boys gentleman gentlemen father fathers son sons"
    " husband husbands brother brothers mr sir"
)
FEMALE, MALE = frozenset(_FEMALE.split()), frozenset(_MALE.split())
# What the templates put into their gap, female first.
PRONOUNS = (("she", "he"), ("her", "his"))

_LABOUR_PERCENT = {
    **{"accountant": 60, "administrator": 55, "advisor": 38, "appraiser": 52, "architect": 21},
    **{"auditor": 60, "baker": 61, "bartender": 60, "broker": 56, "carpenter": 2, "cashier": 73},
    **{"chef": 20, "chemist": 36, "clerk": 70, "counselor": 66, "dietitian": 95},
    **{"dispatcher": 56, "doctor": 38, "educator": 71, "electrician": 2, "engineer": 11},
    **{"examiner": 62, "firefighter": 4, "hairdresser": 94, "hygienist": 96, "inspector": 6},
    **{"instructor": 62, "investigator": 45, "janitor": 34, "lawyer": 35, "librarian": 83},
    **{"machinist": 7, "manager": 39, "mechanic": 2, "nurse": 90, "nutritionist": 95},
    **{"officer": 30, "painter": 6, "paralegal": 85, "paramedic": 33, "pharmacist": 57},
    **{"physician": 38, "planner": 78, "plumber": 1, "practitioner": 75, "programmer": 18},
    **{"psychologist": 70, "receptionist": 91, "salesperson": 48, "scientist": 42},
    **{"secretary": 95, "specialist": 41, "supervisor": 39, "surgeon": 38, "teacher": 71},
    **{"technician": 40, "therapist": 77, "veterinarian": 61, "worker": 38},
}
_PERSONS = (
    "actor agent ambassador artist assistant astronaut athlete attorney author banker barber"
    " bishop blacksmith bookkeeper boss builder butcher buyer candidate captain caregiver "
    " child citizen cleaner coach collector colonel commander commissioner composer congressperson"
    " consul consumer contractor convict creditor criminal customer dancer debtor delegate dentist"
    " designer detective diplomat director driver economist editor emigrant employee employer enemy"
    " envoy explorer farmer florist fool founder freeholder friend fugitive gardener"
    " governor grower guardian guest hero historian homemaker homeowner housekeeper hunter"
    " immigrant infant inhabitant inventor investor jeweler journalist judge juror laborer landlord"
    " leader legislator lieutenant listener lover mayor member merchant messenger midwife migrant"
    " miner minister missionary murderer musician neighbor novelist nun observer "
    " operator orphan owner parent passenger pastor patriot peasant pensioner philosopher"
    " photographer pilgrim pioneer planter player poet politician postmaster preacher"
    " president priest prisoner producer professor prophet publisher pupil reader rebel"
    " referee refugee reporter resident ruler sailor scholar senator sergeant servant"
    " settler sheriff shopkeeper singer slave smuggler soldier speaker spectator spy stranger"
    " student stylist tailor taxpayer tenant thief trader traitor translator traveler treasurer"
    " trooper trustee tutor tyrant veteran victim victor visitor volunteer voter warrior weaver"
    " writer youth"
)
_TRAITS = (
    "able affectionate aged aggressive ambitious angry anxious bold brave brilliant capable careful"
    " charming cheerful clever competent confident courageous cowardly cruel cunning delicate"
    " devoted dishonest distinguished dutiful educated elegant eloquent eminent emotional"
    " energetic faithful famous fearless feeble foolish gallant generous gentle graceful"
    " grateful handsome happy helpless heroic honest honorable humane humble idle ignorant"
    " illustrious impartial independent industrious innocent intelligent jealous lazy"
    " logical loving loyal merciful modest nervous noble obedient patriotic pious polite"
    " poor powerful pretty proud prudent pure rational reckless renowned respectable rich rough"
    " ruthless sensitive shy sick sincere skilled skillful stern stubborn sympathetic talented"
    " timid venerable vigorous virtuous weak wealthy wicked wise worthy young"
)


@dataclass(frozen=True, kw_only=True)
class Word:
    """One word that is asked about.

    Attributes:
        text: In lower case.
        kind: Which templates it fits.
        labour_share: Share of women in this occupation, where it is known.
    """

    text: str
    kind: Kind
    labour_share: float | None = None

    @property
    def labour_log_odds(self) -> float | None:
        """log(women / men) in this occupation."""
        share = self.labour_share
        return None if share is None else math.log(share / (1 - share))


def _words() -> dict[str, Word]:
    persons = sorted({*_PERSONS.split(), *_LABOUR_PERCENT})
    found = [
        Word(
            text=text,
            kind="person",
            labour_share=_LABOUR_PERCENT[text] / 100 if text in _LABOUR_PERCENT else None,
        )
        for text in persons
    ]
    found += [Word(text=text, kind="trait") for text in sorted(_TRAITS.split())]
    return {word.text: word for word in found}


WORDS = _words()
