"""The one clock that processes on many machines agree on."""

import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session


def now(session: Session) -> datetime.datetime:
    """The database's time, which goes on while a transaction lasts."""
    moment: datetime.datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return moment
