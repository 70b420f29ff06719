"""The rules of fee tiers and rebates once more, as plainly as they can be; it shares no code."""

from dataclasses import dataclass, field

from tests.naive import Naive, NaiveOrder, Row

DAY = 24 * 60 * 60 * 1_000_000


@dataclass
class NaiveTiers(Naive):
    """A market whose fees depend on what was traded; `volumes` are by account and day."""

    volumes: dict[tuple[str, int], int] = field(default_factory=dict)
    fee_day: int | None = None

    def rates(self, account: str) -> tuple[int, int]:
        """Of maker and taker, by the volume of the 30 days before the one whose tiers hold."""
        day = self.fee_day or 0
        volume = sum(quote for (who, on), quote in self.volumes.items() if who == account and day - 30 <= on < day)
        found = (self.market.maker_fee_rate, self.market.taker_fee_rate)
        for tier in self.market.fee_tiers:
            if volume >= tier.volume:
                found = (tier.maker_fee_rate, tier.taker_fee_rate)
        return found

    def charges(self, maker: NaiveOrder, taker: NaiveOrder, base: int, quote: int) -> list[tuple[str, int]]:
        market = self.market
        of_maker, of_taker = (market.quote, quote), (market.base, base)
        if taker.placed.side == "sell":
            of_maker, of_taker = of_taker, of_maker
        maker_rate, _ = self.rates(maker.placed.account_id)
        _, taker_rate = self.rates(taker.placed.account_id)
        taker_fee = rounded_up(of_taker[1], taker_rate)
        self.count(maker.placed.account_id, quote)
        self.count(taker.placed.account_id, quote)
        if maker_rate >= 0:
            return [(of_maker[0], rounded_up(of_maker[1], maker_rate)), (of_taker[0], taker_fee)]
        rebate = min(of_taker[1] * -maker_rate // 10**9, taker_fee)
        return [(of_taker[0], -rebate), (of_taker[0], taker_fee)]

    def count(self, account: str, quote: int) -> None:
        if self.market.fee_tiers:
            day = self.time // DAY
            self.volumes[account, day] = self.volumes.get((account, day), 0) + quote
            self.fee_day = day if self.fee_day is None else self.fee_day

    def with_volume(self) -> list[str]:
        return sorted({account for account, _ in self.volumes})

    def tiers_changed(self, before: dict[str, tuple[int, int]]) -> list[Row]:
        return [
            ("TierChanged", account, self.market.symbol, *self.rates(account))
            for account, rates in before.items()
            if self.rates(account) != rates
        ]

    def begin_day(self) -> list[Row]:
        before = {account: self.rates(account) for account in self.with_volume()}
        self.fee_day = self.time // DAY
        rows = self.tiers_changed(before)
        self.volumes = {key: quote for key, quote in self.volumes.items() if key[1] >= self.fee_day - 30}
        self.fee_day = self.fee_day if self.volumes else None
        return rows


def rounded_up(amount: int, rate: int) -> int:
    whole, part = divmod(amount * rate, 10**9)
    return whole + 1 if part else whole
