from django.urls import path

from smartmaint.notifications import views

urlpatterns = [path("notifications/", views.my_notifications, name="notifications")]
