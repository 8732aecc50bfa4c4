//! A trip is a flight, a hotel and a car, booked at the same time, and complete only with all three. From the moment a
//! booking is asked for it is owed that it be cancelled; a booking that was refused owes nothing. When one cannot be
//! had, or takes too long, the others are cancelled, also one whose answer is still on its way: it is awaited first,
//! so that the cancellation never overtakes the booking.

#![allow(missing_docs, unreachable_pub, clippy::print_stdout)] // A program, not a library.

use saga::prelude::*;

#[derive(Saga, Clone, Debug, PartialEq)]
#[saga(name = "trip", version = 1, data(Trip), actions(TripActions))]
#[initially(when(
    TripOrdered,
    run(plan),
    send(BookFlight, undo(CancelFlight)),
    send(BookHotel, undo(CancelHotel)),
    send(BookCar, undo(CancelCar)),
    transition_to(Booking)
))]
#[unhandled(reject)]
pub enum TripState {
    #[during(
        when(FlightBooked, run(keep_flight), stay),
        when(HotelBooked, run(keep_hotel), stay),
        when(CarBooked, run(keep_car), stay),
        when_all(FlightBooked, HotelBooked, CarBooked, transition_to(Booked)),
        when(any(failed(BookFlight), unknown(BookFlight)), compensate, transition_to(Cancelled)),
        when(any(failed(BookHotel), unknown(BookHotel)), compensate, transition_to(Cancelled)),
        when(any(failed(BookCar), unknown(BookCar)), compensate, transition_to(Cancelled)),
        timeout(minutes = 10, compensate, transition_to(Cancelled))
    )]
    Booking,

    #[terminal]
    Booked,
    #[terminal(failure)]
    Cancelled,
}

/// What has been booked so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trip {
    id: String,
    flight: Option<String>,
    hotel: Option<String>,
    car: Option<String>,
}

impl TripActions for Trip {
    fn plan(event: &TripOrdered, _: &mut Context) -> ActionResult<Self> {
        Ok(Trip { id: event.trip.clone(), flight: None, hotel: None, car: None })
    }

    fn book_flight(&self, _: &TripOrdered, _: &mut Context) -> BookFlight {
        BookFlight { trip: self.id.clone() }
    }

    fn cancel_flight(&self, command: &BookFlight, _: &mut Context) -> CancelFlight {
        CancelFlight { trip: command.trip.clone() }
    }

    fn keep_flight(&mut self, event: &FlightBooked, _: &mut Context) -> ActionResult<()> {
        self.flight = Some(event.number.clone());
        Ok(())
    }

    fn book_hotel(&self, _: &TripOrdered, _: &mut Context) -> BookHotel {
        BookHotel { trip: self.id.clone() }
    }

    fn cancel_hotel(&self, command: &BookHotel, _: &mut Context) -> CancelHotel {
        CancelHotel { trip: command.trip.clone() }
    }

    fn keep_hotel(&mut self, event: &HotelBooked, _: &mut Context) -> ActionResult<()> {
        self.hotel = Some(event.number.clone());
        Ok(())
    }

    fn book_car(&self, _: &TripOrdered, _: &mut Context) -> BookCar {
        BookCar { trip: self.id.clone() }
    }

    fn cancel_car(&self, command: &BookCar, _: &mut Context) -> CancelCar {
        CancelCar { trip: command.trip.clone() }
    }

    fn keep_car(&mut self, event: &CarBooked, _: &mut Context) -> ActionResult<()> {
        self.car = Some(event.number.clone());
        Ok(())
    }
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "trip.ordered", key(trip))]
pub struct TripOrdered {
    trip: String,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "flight.book", replies(FlightBooked))]
pub struct BookFlight {
    trip: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "flight.booked")]
pub struct FlightBooked {
    number: String,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "flight.cancel")]
pub struct CancelFlight {
    trip: String,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "hotel.book", replies(HotelBooked))]
pub struct BookHotel {
    trip: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "hotel.booked")]
pub struct HotelBooked {
    number: String,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "hotel.cancel")]
pub struct CancelHotel {
    trip: String,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "car.book", replies(CarBooked))]
pub struct BookCar {
    trip: String,
}

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
#[event(name = "car.booked")]
pub struct CarBooked {
    number: String,
}

#[derive(Command, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[command(name = "car.cancel")]
pub struct CancelCar {
    trip: String,
}

// The three services, and a handler that calls them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use saga::error::StartError;
use saga::{Dispatcher, SqliteStore};

/// Books what the name of the trip does not rule out: `no-hotel` gets no hotel. Bookings are known by their trip, so
/// booking or cancelling twice is harmless.
#[derive(Clone, Default)]
struct Agency {
    car_takes: Duration,
    booked: Arc<Mutex<Vec<String>>>,
}

impl Agency {
    async fn book(&self, what: &str, trip: &str) -> Result<String, HandlerError> {
        if what == "car" {
            tokio::time::sleep(self.car_takes).await;
        }
        if trip == format!("no-{what}") {
            println!("    there is no {what}");
            return Err(HandlerError::refused(format!("there is no {what}")));
        }
        println!("    {what} booked");
        let number = format!("{what} of {trip}");
        let mut booked = self.booked.lock().unwrap();
        if !booked.contains(&number) {
            booked.push(number.clone());
        }
        Ok(number)
    }

    fn cancel(&self, what: &str, trip: &str) {
        println!("    {what} cancelled");
        let number = format!("{what} of {trip}");
        self.booked.lock().unwrap().retain(|booked| *booked != number);
    }
}

impl Handler<BookFlight> for Agency {
    async fn handle(&self, command: BookFlight, _: &HandlerContext) -> HandlerResult<BookFlight> {
        let number = self.book("flight", &command.trip).await?;
        Ok(FlightBooked { number }.into())
    }
}

impl Handler<CancelFlight> for Agency {
    async fn handle(&self, command: CancelFlight, _: &HandlerContext) -> HandlerResult<CancelFlight> {
        self.cancel("flight", &command.trip);
        Ok(Done.into())
    }
}

impl Handler<BookHotel> for Agency {
    async fn handle(&self, command: BookHotel, _: &HandlerContext) -> HandlerResult<BookHotel> {
        let number = self.book("hotel", &command.trip).await?;
        Ok(HotelBooked { number }.into())
    }
}

impl Handler<CancelHotel> for Agency {
    async fn handle(&self, command: CancelHotel, _: &HandlerContext) -> HandlerResult<CancelHotel> {
        self.cancel("hotel", &command.trip);
        Ok(Done.into())
    }
}

impl Handler<BookCar> for Agency {
    async fn handle(&self, command: BookCar, _: &HandlerContext) -> HandlerResult<BookCar> {
        let number = self.book("car", &command.trip).await?;
        Ok(CarBooked { number }.into())
    }
}

impl Handler<CancelCar> for Agency {
    async fn handle(&self, command: CancelCar, _: &HandlerContext) -> HandlerResult<CancelCar> {
        self.cancel("car", &command.trip);
        Ok(Done.into())
    }
}

async fn open(store: &SqliteStore, agency: &Agency) -> Result<Dispatcher, StartError> {
    Dispatcher::builder(store.clone())
        .saga::<TripState>()
        .handler::<BookFlight>(agency.clone())
        .handler::<CancelFlight>(agency.clone())
        .handler::<BookHotel>(agency.clone())
        .handler::<CancelHotel>(agency.clone())
        .handler::<BookCar>(agency.clone())
        .handler::<CancelCar>(agency.clone())
        .start()
        .await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    // So long that a car is still being booked when the hotel is refused.
    let agency = Agency { car_takes: Duration::from_millis(30), ..Agency::default() };
    let trips = open(&SqliteStore::open(folder.path().join("trips.db"))?, &agency).await?;
    for trip in ["to-rome", "no-hotel", "no-car"] {
        println!("trip {trip}");
        trips.publish(TripOrdered { trip: trip.into() }).await?;
        println!("  ends {:?}", trips.settled::<TripState>(trip).await?);
    }
    println!("booked are: {}", agency.booked.lock().unwrap().join(", "));
    trips.shutdown(Duration::from_secs(10)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use saga::Position;
    use saga::testing::{Given, minutes};

    use super::*;

    fn ordered() -> Given<TripState> {
        Given::started(TripOrdered { trip: "7".into() })
    }

    fn flight() -> FlightBooked {
        FlightBooked { number: "F".into() }
    }

    fn hotel() -> HotelBooked {
        HotelBooked { number: "H".into() }
    }

    fn car() -> CarBooked {
        CarBooked { number: "C".into() }
    }

    /// Undone, in order.
    fn undone(trip: &Given<TripState>) -> Vec<String> {
        let history = trip.history();
        history.iter().filter_map(|line| line.strip_prefix("undone ")).map(str::to_owned).collect()
    }

    #[test]
    fn all_three_are_asked_for_at_once() {
        let trip = ordered();
        assert_eq!(trip.sent::<BookFlight>().len(), 1);
        assert_eq!(trip.sent::<BookHotel>().len(), 1);
        assert_eq!(trip.sent::<BookCar>().len(), 1);
        assert_eq!(trip.obligations(), ["flight.cancel", "hotel.cancel", "car.cancel"]);
    }

    #[test]
    fn the_last_answer_completes_the_trip_whichever_it_is() {
        for trip in [
            ordered().when(flight()).when(hotel()).when(car()),
            ordered().when(flight()).when(car()).when(hotel()),
            ordered().when(hotel()).when(car()).when(flight()),
        ] {
            assert_eq!(trip.state(), &TripState::Booked);
            let Trip { flight, hotel, car, .. } = trip.data();
            assert_eq!([flight, hotel, car].map(Option::as_deref), [Some("F"), Some("H"), Some("C")]);
            assert!(undone(&trip).is_empty());
        }
        assert_eq!(ordered().when(flight()).when(car()).state(), &TripState::Booking);
    }

    #[test]
    fn a_refused_booking_cancels_those_that_succeeded() {
        let trip = ordered().when(flight()).when(car()).failed::<BookHotel>("full");
        assert_eq!(trip.state(), &TripState::Cancelled);
        assert_eq!(undone(&trip), ["car.cancel", "flight.cancel"]);
        let trip = ordered().when(hotel()).when(car()).failed::<BookFlight>("full");
        assert_eq!(undone(&trip), ["car.cancel", "hotel.cancel"]);
        let trip = ordered().when(flight()).when(hotel()).failed::<BookCar>("none left");
        assert_eq!(undone(&trip), ["hotel.cancel", "flight.cancel"]);
    }

    #[test]
    fn a_booking_nobody_knows_of_is_cancelled_too() {
        let trip = ordered().when(flight()).when(car()).unknown::<BookHotel>("no answer");
        assert_eq!(trip.state(), &TripState::Cancelled);
        assert_eq!(undone(&trip), ["car.cancel", "hotel.cancel", "flight.cancel"]);
    }

    #[test]
    fn a_booking_under_way_is_awaited_and_then_cancelled() {
        let trip = ordered().when(flight()).still_running::<BookCar>().failed::<BookHotel>("full");
        assert!(matches!(trip.position(), Position::Compensating { .. }));
        assert!(undone(&trip).is_empty());
        let trip = trip.when(car());
        assert_eq!(trip.state(), &TripState::Cancelled);
        assert_eq!(undone(&trip), ["car.cancel", "flight.cancel"]);
    }

    #[test]
    fn a_booking_not_yet_begun_is_withdrawn() {
        let trip = ordered().not_begun::<BookFlight>().not_begun::<BookCar>().failed::<BookHotel>("full");
        assert_eq!(trip.state(), &TripState::Cancelled);
        assert!(undone(&trip).is_empty());
    }

    #[test]
    fn what_is_not_booked_after_ten_minutes_is_not_waited_for() {
        let trip = ordered().when(flight()).when(hotel()).elapsed(minutes(10));
        assert_eq!(trip.state(), &TripState::Cancelled);
        assert_eq!(undone(&trip), ["car.cancel", "hotel.cancel", "flight.cancel"]);
    }

    #[tokio::test]
    async fn nothing_of_a_cancelled_trip_stays_booked() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("trips.db")).unwrap();
        let agency = Agency::default();
        let trips = open(&store, &agency).await.unwrap();
        trips.publish(TripOrdered { trip: "no-hotel".into() }).await.unwrap();
        let settled = trips.settled::<TripState>("no-hotel").await.unwrap();
        assert_eq!(settled, Position::In(TripState::Cancelled));
        assert!(agency.booked.lock().unwrap().is_empty());
        trips.shutdown(Duration::from_secs(1)).await.unwrap();
    }
}
